//! CUDA kernels for memory, copy and compute tests, and the host code that launches them.
//!
//! This crate is empty today: no check of the present release runs a kernel, and the checks that will need one
//! (`pcieBandwidth`, `gpuMemory`, `gpuCompute`, `gpuPeer`) are reported as `Inconclusive/NotImplemented` by the agent.
//! It exists so that the direction of dependencies is fixed: only probe children of the agent will use it, it never
//! depends on kube, and no binary links CUDA (the driver library is loaded at run time).
