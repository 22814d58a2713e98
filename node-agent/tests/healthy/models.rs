//! The boards of the healthy machines.

/// What kind of board it is. Numbers: data sheets, and nvidia-smi of real boards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) device: u16,
    pub(crate) memory_mib: u64,
    pub(crate) links: u32,
    pub(crate) generation: u32,
    pub(crate) width: u32,
    /// What the board could do in a better slot. Running below it is no fault.
    pub(crate) max_width: u32,
    pub(crate) remaps: bool,
    pub(crate) fabric: bool,
    /// NVLink 5: links have other counters, and temperatures are told by margins.
    pub(crate) newest: bool,
    pub(crate) limit_watts: u64,
    /// It keeps performance state 0, and with it the link's generation, while it is idle (A100, H100); others go to 8.
    pub(crate) idles_at_p0: bool,
}

pub(crate) const H100: Model = Model {
    name: "NVIDIA H100 80GB HBM3",
    device: 0x2330,
    memory_mib: 81_559,
    links: 18,
    generation: 5,
    width: 16,
    max_width: 16,
    remaps: true,
    fabric: true,
    newest: false,
    limit_watts: 700,
    idles_at_p0: true,
};
pub(crate) const A100_PCIE: Model = Model {
    name: "NVIDIA A100 80GB PCIe",
    device: 0x20b5,
    memory_mib: 81_920,
    links: 0,
    generation: 4,
    width: 16,
    max_width: 16,
    remaps: true,
    fabric: false,
    newest: false,
    limit_watts: 300,
    idles_at_p0: true,
};
pub(crate) const L4: Model = Model {
    name: "NVIDIA L4",
    device: 0x27b8,
    memory_mib: 23_034,
    links: 0,
    generation: 4,
    width: 8,
    max_width: 16,
    remaps: true,
    fabric: false,
    newest: false,
    limit_watts: 72,
    idles_at_p0: false,
};
pub(crate) const T4: Model = Model {
    name: "Tesla T4",
    device: 0x1eb8,
    memory_mib: 15_360,
    links: 0,
    generation: 3,
    width: 8,
    max_width: 16,
    remaps: false,
    fabric: false,
    newest: false,
    limit_watts: 70,
    idles_at_p0: false,
};
pub(crate) const H200: Model = Model { name: "NVIDIA H200", device: 0x2335, memory_mib: 143_771, ..H100 };
pub(crate) const B200: Model =
    Model { name: "NVIDIA B200", device: 0x2901, memory_mib: 183_359, limit_watts: 1_000, newest: true, ..H100 };
pub(crate) const GB200: Model =
    Model { name: "NVIDIA GB200", device: 0x2941, memory_mib: 189_471, limit_watts: 1_200, ..B200 };
pub(crate) const GB300: Model =
    Model { name: "NVIDIA GB300", device: 0x31c2, memory_mib: 284_208, limit_watts: 1_400, ..B200 };
