//! The checks: their names, classes and parameters.

mod names;
mod parameters;

pub(crate) use names::{CheckName, MonitorName};
pub use parameters::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a check: what it needs, and whether it disturbs workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Only reads state; always allowed.
    Passive,
    /// Short and cheap; may run alongside workloads.
    Light,
    /// Needs the GPUs to itself; the node is reserved first.
    Exclusive,
    /// Involves several nodes at once.
    Group,
    /// Depends on the check's parameters (custom programs, drills).
    Declared,
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident $name:literal $class:ident $built:literal;)+) => {
        /// Every check in the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $($(#[$doc])* $variant,)+ }

        impl Check {
            /// All checks, in documentation order.
            pub const ALL: &'static [Check] = &[$(Check::$variant),+];

            /// The name in the API, in metrics and in the documentation.
            pub const fn name(self) -> &'static str {
                match self { $(Check::$variant => $name,)+ }
            }

            /// The class.
            pub const fn class(self) -> Class {
                match self { $(Check::$variant => Class::$class,)+ }
            }

            /// Whether this version implements the check. Others end as `Inconclusive/NotImplemented`.
            pub const fn is_built(self) -> bool {
                match self { $(Check::$variant => $built,)+ }
            }
        }
    };
}

checks! {
    /// Accelerator counts: on PCI, in the driver, in the profile, allocatable on the Node.
    Inventory "inventory" Passive true;
    /// The driver responds, and its library matches the kernel module.
    Driver "driver" Passive true;
    /// Xid, SXid and lost GPUs, from kernel log records and NVML events.
    Xid "xid" Passive true;
    /// The kernel log besides Xids: whether records were lost.
    KernelLog "kernelLog" Passive true;
    /// The recovery action that the driver reports (NVML field 230).
    RecoveryAction "recoveryAction" Passive true;
    /// ECC counters.
    Ecc "ecc" Passive true;
    /// Row remapping and retired pages.
    RowRemap "rowRemap" Passive true;
    /// Clock event reasons.
    Clocks "clocks" Passive true;
    /// Temperatures.
    Thermal "thermal" Passive true;
    /// Power draw and limits.
    Power "power" Passive true;
    /// PCIe generation, width and errors.
    PcieLink "pcieLink" Passive true;
    /// NVLink states and errors.
    Nvlink "nvlink" Passive true;
    /// NVSwitch fabric state.
    Fabric "fabric" Passive true;
    /// AMD RAS counters.
    AmdRas "amdRas" Passive false;
    /// AMD bad pages.
    AmdBadPages "amdBadPages" Passive false;
    /// AMD PCIe and XGMI links.
    AmdLinks "amdLinks" Passive false;
    /// RDMA port states and counters.
    RdmaLink "rdmaLink" Passive true;
    /// EFA devices.
    Efa "efa" Passive true;
    /// GPU and NIC topology.
    Topology "topology" Passive true;
    /// Versions that differ from those of most nodes.
    Drift "drift" Passive true;
    /// Copy bandwidth between host and GPU.
    PcieBandwidth "pcieBandwidth" Light false;
    /// Memory test patterns.
    GpuMemory "gpuMemory" Exclusive false;
    /// Bit-exact arithmetic.
    GpuCompute "gpuCompute" Exclusive false;
    /// Copy bandwidth between GPUs.
    GpuPeer "gpuPeer" Exclusive false;
    /// `dcgmi diag`.
    DcgmDiag "dcgmDiag" Exclusive false;
    /// Minutes of combined compute and memory load.
    Stress "stress" Exclusive false;
    /// Reachability and round-trip time between nodes.
    Ping "ping" Group false;
    /// `iperf3` in rounds of disjoint pairs.
    NetworkBandwidth "networkBandwidth" Group true;
    /// `perftest`, in loopback and between pairs.
    RdmaBandwidth "rdmaBandwidth" Exclusive false;
    /// `fi_pingpong` on each EFA domain.
    EfaLoopback "efaLoopback" Exclusive false;
    /// NCCL all-reduce.
    Nccl "nccl" Exclusive false;
    /// A PersistentVolumeClaim is created, written, read and deleted.
    Pvc "pvc" Light false;
    /// A program that the user supplies.
    Custom "custom" Declared true;
    /// A synthetic finding.
    Drill "drill" Declared true;
}

impl Check {
    /// Looks up a check by name; `custom/<program>` is [`Check::Custom`].
    pub fn from_name(name: &str) -> Option<Self> {
        let kind = name.split('/').next().unwrap_or(name);
        Self::ALL.iter().copied().find(|c| c.name() == kind)
    }

    /// Whether the agent runs this check all the time, as a monitor. Drift runs in the operator, which alone sees more than
    /// one node.
    pub const fn is_monitor(self) -> bool {
        matches!(self.class(), Class::Passive) && !matches!(self, Self::Drift)
    }
}

macro_rules! check_spec {
    ($($(#[$doc:meta])* $field:ident $wire:literal $variant:ident $params:ty;)+) => {
        /// One check of a run: a name and exactly one kind.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[schemars(extend("x-kubernetes-validations" = [{
            "rule": concat!("[", $("has(self.", $wire, "),",)+ "false].filter(given, given).size() == 1"),
            "messageExpression": "'check ' + self.name + ': exactly one kind is needed, for example networkBandwidth: {}'",
            "message": "exactly one kind is needed in each check, for example networkBandwidth: {}"
        }]))]
        #[serde(rename_all = "camelCase")]
        pub struct CheckSpec {
            /// Name of the check, unique within the run: lowercase letters, digits and hyphens.
            #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
            pub name: String,
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none", rename = $wire)]
                pub $field: Option<$params>,
            )+
        }

        impl CheckSpec {
            /// How thorough the check is, if it has levels: from 1 (seconds) to 4 (hours).
            pub fn level(&self) -> Option<i64> {
                self.dcgm_diag.as_ref().map(|diag| diag.level.unwrap_or(1))
            }

            /// The kinds that are set. The API server requires exactly one; an object that bypassed validation may have
            /// none or several.
            pub fn kinds(&self) -> Vec<Check> {
                let mut kinds = Vec::new();
                $(if self.$field.is_some() { kinds.push(Check::$variant); })+
                kinds
            }

            /// A check of this kind with default parameters, named after the kind in lowercase.
            pub fn with_defaults(check: Check) -> Self {
                let mut spec = Self { name: check.name().to_lowercase(), ..Self::default() };
                match check {
                    $(Check::$variant => spec.$field = Some(<$params>::default()),)+
                    other => spec.name = other.name().to_lowercase(),
                }
                spec
            }
        }
    };
}

check_spec! {
    /// Compares the accelerators on PCI, in the driver, in the profile and in the Node's allocatable resources.
    inventory "inventory" Inventory NoParameters;
    /// Checks that the driver responds and that its library matches the kernel module.
    driver "driver" Driver NoParameters;
    /// Reads the ECC counters.
    ecc "ecc" Ecc NoParameters;
    /// Reads the row remapping state.
    row_remap "rowRemap" RowRemap NoParameters;
    /// Reads the clock event reasons.
    clocks "clocks" Clocks NoParameters;
    /// Reads PCIe generation, width and error counters.
    pcie_link "pcieLink" PcieLink NoParameters;
    /// Reads NVLink states and error counters.
    nvlink "nvlink" Nvlink NoParameters;
    /// Reads the state of the NVSwitch fabric.
    fabric "fabric" Fabric NoParameters;
    /// Reads the topology of GPUs and NICs.
    topology "topology" Topology NoParameters;
    /// Reads the states of RDMA ports.
    rdma_link "rdmaLink" RdmaLink NoParameters;
    /// Counts EFA devices.
    efa "efa" Efa NoParameters;
    /// Measures copy bandwidth between host and GPU.
    pcie_bandwidth "pcieBandwidth" PcieBandwidth PcieBandwidth;
    /// Fills and verifies the memory of each GPU.
    gpu_memory "gpuMemory" GpuMemory GpuMemory;
    /// Runs computations with known results and compares the results bit by bit.
    gpu_compute "gpuCompute" GpuCompute NoParameters;
    /// Measures copy bandwidth between GPUs.
    gpu_peer "gpuPeer" GpuPeer NoParameters;
    /// Runs NVIDIA's diagnostics, `dcgmi diag`.
    dcgm_diag "dcgmDiag" DcgmDiag DcgmDiag;
    /// Loads compute and memory together at full power.
    stress "stress" Stress Stress;
    /// Measures reachability and round-trip time between nodes.
    ping "ping" Ping Ping;
    /// Measures bandwidth between nodes with iperf3.
    network_bandwidth "networkBandwidth" NetworkBandwidth NetworkBandwidth;
    /// Measures RDMA bandwidth.
    rdma_bandwidth "rdmaBandwidth" RdmaBandwidth RdmaBandwidth;
    /// Runs a loopback test on each EFA domain.
    efa_loopback "efaLoopback" EfaLoopback NoParameters;
    /// Runs a NCCL all-reduce.
    nccl "nccl" Nccl Nccl;
    /// Tests a storage class with a temporary PersistentVolumeClaim.
    pvc "pvc" Pvc Pvc;
    /// Runs a program that you supply.
    custom "custom" Custom Custom;
    /// Reports a synthetic finding.
    drill "drill" Drill Drill;
}

impl CheckSpec {
    /// The kind, or `None` if none or several are set.
    pub fn kind(&self) -> Option<Check> {
        match self.kinds().as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The check name in findings and results: the kind, or `custom/<program>`.
    pub fn reported_as(&self) -> String {
        match (&self.custom, self.kind()) {
            (Some(custom), _) => format!("custom/{}", custom.program),
            (None, Some(kind)) => kind.name().to_owned(),
            (None, None) => "unknown".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_without_a_kind_or_with_two_has_no_kind() {
        assert_eq!(CheckSpec { name: "a".into(), ..CheckSpec::default() }.kind(), None);
        let two = CheckSpec {
            name: "a".into(),
            inventory: Some(NoParameters {}),
            gpu_memory: Some(GpuMemory::default()),
            ..CheckSpec::default()
        };
        assert_eq!(two.kind(), None);
        assert_eq!(two.kinds(), [Check::Inventory, Check::GpuMemory]);
    }

    #[test]
    fn every_kind_is_read_back_by_its_name() {
        for check in Check::ALL {
            assert_eq!(Check::from_name(check.name()), Some(*check));
        }
        assert_eq!(Check::from_name("custom/disk-latency"), Some(Check::Custom));
        assert_eq!(Check::from_name("astrology"), None);
    }
}
