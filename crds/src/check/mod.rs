//! The checks: their names, and what a run may ask of each.

mod parameters;

pub use parameters::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a check: what it needs and whom it may disturb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Reads state; always allowed.
    Passive,
    /// Short, uses little; allowed beside work.
    Light,
    /// Needs the GPUs for itself; the node is reserved first.
    Exclusive,
    /// Several nodes at once.
    Group,
    /// As the custom program says.
    Declared,
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident $name:literal $class:ident $built:literal;)+) => {
        /// Every check that the API knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $($(#[$doc])* $variant,)+ }

        impl Check {
            /// Every check, in the order of the documentation.
            pub const ALL: &'static [Check] = &[$(Check::$variant),+];

            /// The name in the API, in metrics and in the documentation.
            pub const fn name(self) -> &'static str {
                match self { $(Check::$variant => $name,)+ }
            }

            /// The class.
            pub const fn class(self) -> Class {
                match self { $(Check::$variant => Class::$class,)+ }
            }

            /// Whether this version can run it; the others end as `Inconclusive/NotImplemented`.
            pub const fn is_built(self) -> bool {
                match self { $(Check::$variant => $built,)+ }
            }
        }
    };
}

checks! {
    /// Accelerators on PCI, in the driver, expected and allocatable.
    Inventory "inventory" Passive true;
    /// The driver answers, and library and module match.
    Driver "driver" Passive true;
    /// Kernel log records and NVML events: Xid, SXid, fallen off the bus.
    Xid "xid" Passive true;
    /// What the driver itself asks for (NVML field 230).
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
    /// NVSwitch fabric.
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
    /// Versions against the majority of the fleet.
    Drift "drift" Passive true;
    /// Host-to-device copies.
    PcieBandwidth "pcieBandwidth" Light false;
    /// Memory patterns.
    GpuMemory "gpuMemory" Exclusive false;
    /// Bit-exact arithmetic.
    GpuCompute "gpuCompute" Exclusive false;
    /// GPU-to-GPU copies.
    GpuPeer "gpuPeer" Exclusive false;
    /// dcgmi diag.
    DcgmDiag "dcgmDiag" Exclusive false;
    /// Compute and memory together for minutes.
    Stress "stress" Exclusive false;
    /// Reachability and round trip between nodes.
    Ping "ping" Group false;
    /// iperf3 in rounds of disjoint pairs.
    NetworkBandwidth "networkBandwidth" Group true;
    /// perftest, loopback and pairs.
    RdmaBandwidth "rdmaBandwidth" Exclusive false;
    /// fi_pingpong per EFA domain.
    EfaLoopback "efaLoopback" Exclusive false;
    /// NCCL all-reduce.
    Nccl "nccl" Exclusive false;
    /// A claim is bound, written, read and deleted.
    Pvc "pvc" Light false;
    /// A program of the user's.
    Custom "custom" Declared true;
    /// A synthetic finding.
    Drill "drill" Declared true;
}

impl Check {
    /// The check of this name; `custom/<program>` is [`Check::Custom`].
    pub fn from_name(name: &str) -> Option<Self> {
        let kind = name.split('/').next().unwrap_or(name);
        Self::ALL.iter().copied().find(|c| c.name() == kind)
    }

    /// Whether the agent runs this check without being asked, as a monitor. Drift is the operator's own: only it sees
    /// more than one node.
    pub const fn is_monitor(self) -> bool {
        matches!(self.class(), Class::Passive) && !matches!(self, Self::Drift)
    }
}

macro_rules! check_spec {
    ($($(#[$doc:meta])* $field:ident $wire:literal $variant:ident $params:ty;)+) => {
        /// One check of a run: a name, and exactly one member that says the kind.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[schemars(extend("x-kubernetes-validations" = [{
            "rule": concat!("[", $("has(self.", $wire, "),",)+ "false].filter(given, given).size() == 1"),
            "messageExpression": "'check ' + self.name + ': exactly one kind is needed, for example networkBandwidth: {}'",
            "message": "exactly one kind is needed in each check, for example networkBandwidth: {}"
        }]))]
        #[serde(rename_all = "camelCase")]
        pub struct CheckSpec {
            /// The name of this check within the run: lower-case letters, digits and hyphens.
            #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
            pub name: String,
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none", rename = $wire)]
                pub $field: Option<$params>,
            )+
        }

        impl CheckSpec {
            /// The kinds that are given. The API server refuses anything but one; an object that came around it may
            /// have none or several.
            pub fn kinds(&self) -> Vec<Check> {
                let mut kinds = Vec::new();
                $(if self.$field.is_some() { kinds.push(Check::$variant); })+
                kinds
            }

            /// A check of this kind with default parameters, named as the kind in lower case.
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
    /// Counts accelerators on PCI, in the driver, expected and allocatable.
    inventory "inventory" Inventory NoParameters;
    /// Asks the driver whether it is well.
    driver "driver" Driver NoParameters;
    /// Reads the ECC counters.
    ecc "ecc" Ecc NoParameters;
    /// Reads the row remapper.
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
    /// Measures copies between host and device.
    pcie_bandwidth "pcieBandwidth" PcieBandwidth PcieBandwidth;
    /// Fills and verifies the memory of each GPU.
    gpu_memory "gpuMemory" GpuMemory GpuMemory;
    /// Computes exact results and compares them bit by bit.
    gpu_compute "gpuCompute" GpuCompute NoParameters;
    /// Measures copies between GPUs.
    gpu_peer "gpuPeer" GpuPeer NoParameters;
    /// Runs NVIDIA's own diagnostics.
    dcgm_diag "dcgmDiag" DcgmDiag DcgmDiag;
    /// Runs compute and memory together at full power.
    stress "stress" Stress Stress;
    /// Measures reachability and round trip between nodes.
    ping "ping" Ping Ping;
    /// Measures the bandwidth between nodes by iperf3.
    network_bandwidth "networkBandwidth" NetworkBandwidth NetworkBandwidth;
    /// Measures the RDMA bandwidth.
    rdma_bandwidth "rdmaBandwidth" RdmaBandwidth RdmaBandwidth;
    /// Tests each EFA domain against itself.
    efa_loopback "efaLoopback" EfaLoopback NoParameters;
    /// Runs an all-reduce.
    nccl "nccl" Nccl Nccl;
    /// Tests a storage class.
    pvc "pvc" Pvc Pvc;
    /// Runs a program of the user's.
    custom "custom" Custom Custom;
    /// Reports a synthetic finding.
    drill "drill" Drill Drill;
}

impl CheckSpec {
    /// The one kind, or `None` where the spec names none or several.
    pub fn kind(&self) -> Option<Check> {
        match self.kinds().as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The name under which findings and results appear: the kind, or `custom/<program>`.
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
