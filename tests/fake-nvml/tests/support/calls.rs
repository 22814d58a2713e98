//! Each function of the library, called by its type in nvml.h with arguments that a healthy GPU can answer.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

use nvml_wrapper::Nvml;
use nvml_wrapper_sys::bindings::{NvmlLib, nvmlDevice_t, nvmlEventSet_t, nvmlFieldValue_t};

/// What a call needs.
pub(crate) struct Ground<'a> {
    pub(crate) lib: &'a NvmlLib,
    pub(crate) gpu: nvmlDevice_t,
    pub(crate) other: nvmlDevice_t,
    pub(crate) instance: nvmlDevice_t,
    pub(crate) set: nvmlEventSet_t,
    /// Room for any answer, aligned for any type.
    pub(crate) room: [*mut c_void; 4],
}

/// Room for the answers of one call.
#[derive(Default)]
pub(crate) struct Room([Part; 4]);

/// 8 KiB, aligned for any type.
struct Part([u64; 1024]);

impl Default for Part {
    fn default() -> Self {
        Self([0; 1024])
    }
}

impl<'a> Ground<'a> {
    /// With neither an event set nor a MIG device yet.
    pub(crate) fn new(nvml: &'a Nvml, [gpu, other]: [nvmlDevice_t; 2], room: &mut Room) -> Self {
        let room = room.0.each_mut().map(|part| part.0.as_mut_ptr().cast());
        Self { lib: nvml.lib(), gpu, other, instance: null_mut(), set: null_mut(), room }
    }

    fn out<T>(&self, at: usize) -> *mut T {
        self.room[at].cast()
    }

    fn text(&self) -> *mut c_char {
        self.room[0].cast()
    }

    /// A struct that starts with its version.
    fn tagged<T>(&self, version: u32) -> *mut T {
        let size = u32::try_from(size_of::<T>()).expect("a small struct");
        // SAFETY: the room is large enough and aligned.
        unsafe { self.out::<u32>(0).write(size | version << 24) };
        self.out(0)
    }

    fn field(&self) -> *mut nvmlFieldValue_t {
        // SAFETY: the room is large enough and aligned, and zeros are a value of the type.
        unsafe {
            let field = self.out::<nvmlFieldValue_t>(0);
            field.write_bytes(0, 1);
            (*field).fieldId = 83;
            field
        }
    }

    fn none(&self, at: usize) -> *mut u32 {
        // SAFETY: the room is large enough and aligned.
        unsafe { self.out::<u32>(at).write(0) };
        self.out(at)
    }
}

/// A call, and whether it is about a GPU (the handle is its first argument).
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) about_gpu: bool,
    pub(crate) make: unsafe fn(&Ground<'_>) -> u32,
}

/// A function that the bindings lack: it writes one struct.
type Getter = unsafe extern "C" fn(nvmlDevice_t, *mut c_void) -> u32;

macro_rules! calls {
    ($(machine $($m:ident($($marg:expr),*))*; gpu $($d:ident($($darg:expr),*))*; newer $($n:ident)*;)*) => { &[$(
        $(Call { name: stringify!($n), about_gpu: true, make: |g| {
            // SAFETY: typed as in nvml.h; the ground's room is large enough.
            unsafe {
                let name = concat!(stringify!($n), "\0").as_bytes();
                let function = g.lib.__library.get::<Getter>(name).expect("the library exports it");
                function(g.gpu, g.room[0])
            }
        } },)*
        $(Call { name: stringify!($m), about_gpu: false, make: |g| {
            // SAFETY: pointers into the ground's room, which is large enough.
            #[allow(clippy::redundant_closure_call)] unsafe { g.lib.$m($(($marg as fn(&Ground<'_>) -> _)(g)),*) }
        } },)*
        $(Call { name: stringify!($d), about_gpu: true, make: |g| {
            // SAFETY: pointers into the ground's room, which is large enough.
            #[allow(clippy::redundant_closure_call)] unsafe { g.lib.$d(g.gpu, $(($darg as fn(&Ground<'_>) -> _)(g)),*) }
        } },)*
    )*] };
}

/// All but init and shutdown, which the loading of the library makes, and `nvmlErrorString`, which cannot fail.
#[rustfmt::skip]
pub(crate) static CALLS: &[Call] = calls! {
    machine
        nvmlSystemGetDriverVersion(|g| g.text(), |_| 80)
        nvmlSystemGetNVMLVersion(|g| g.text(), |_| 80)
        nvmlSystemGetCudaDriverVersion_v2(|g| g.out(0))
        nvmlSystemGetProcessName(|_| 4321, |g| g.text(), |_| 64)
        nvmlDeviceGetCount_v2(|g| g.out(0))
        nvmlDeviceGetHandleByIndex_v2(|_| 0, |g| g.out(0))
        nvmlDeviceGetHandleByUUID(|_| c"GPU-simulated-0000-0000-0000-000000000001".as_ptr(), |g| g.out(0))
        nvmlDeviceGetHandleBySerial(|_| c"SIM0000000001".as_ptr(), |g| g.out(0))
        nvmlDeviceGetHandleByPciBusId_v2(|_| c"00000000:18:00.0".as_ptr(), |g| g.out(0))
        nvmlEventSetCreate(|g| g.out(0))
        nvmlEventSetWait_v2(|g| g.set, |g| g.out(0), |_| 0)
        nvmlEventSetFree(|g| g.set)
        nvmlDeviceGetDeviceHandleFromMigDeviceHandle(|g| g.instance, |g| g.out(0));
    gpu
        nvmlDeviceGetIndex(|g| g.out(0))
        nvmlDeviceGetName(|g| g.text(), |_| 96)
        nvmlDeviceGetUUID(|g| g.text(), |_| 96)
        nvmlDeviceGetSerial(|g| g.text(), |_| 30)
        nvmlDeviceGetPciInfo_v3(|g| g.out(0))
        nvmlDeviceGetMinorNumber(|g| g.out(0))
        nvmlDeviceGetModuleId(|g| g.out(0))
        nvmlDeviceGetBrand(|g| g.out(0))
        nvmlDeviceGetArchitecture(|g| g.out(0))
        nvmlDeviceGetCudaComputeCapability(|g| g.out(0), |g| g.out(1))
        nvmlDeviceGetVbiosVersion(|g| g.text(), |_| 32)
        nvmlDeviceGetInforomImageVersion(|g| g.text(), |_| 16)
        nvmlDeviceGetInforomVersion(|_| 0, |g| g.text(), |_| 16)
        nvmlDeviceGetBoardPartNumber(|g| g.text(), |_| 80)
        nvmlDeviceGetGspFirmwareVersion(|g| g.text())
        nvmlDeviceValidateInforom()
        nvmlDeviceGetNumaNodeId(|g| g.out(0))
        nvmlDeviceGetTopologyCommonAncestor(|g| g.other, |g| g.out(0))
        nvmlDeviceGetP2PStatus(|g| g.other, |_| 2, |g| g.out(0))
        nvmlDeviceGetMemoryInfo(|g| g.out(0))
        nvmlDeviceGetMemoryInfo_v2(|g| g.tagged(2))
        nvmlDeviceGetEccMode(|g| g.out(0), |g| g.out(1))
        nvmlDeviceGetTotalEccErrors(|_| 1, |_| 0, |g| g.out(0))
        nvmlDeviceGetMemoryErrorCounter(|_| 1, |_| 0, |_| 2, |g| g.out(0))
        nvmlDeviceGetSramEccErrorStatus(|g| g.tagged(1))
        nvmlDeviceGetPlatformInfo(|g| g.tagged(2))
        nvmlDeviceGetRetiredPages(|_| 0, |g| g.none(0), |g| g.out(1))
        nvmlDeviceGetRetiredPages_v2(|_| 1, |g| g.none(0), |g| g.out(1), |g| g.out(2))
        nvmlDeviceGetRetiredPagesPendingStatus(|g| g.out(0))
        nvmlDeviceGetRemappedRows(|g| g.out(0), |g| g.out(1), |g| g.out(2), |g| g.out(3))
        nvmlDeviceGetRowRemapperHistogram(|g| g.out(0))
        nvmlDeviceGetCurrentClocksThrottleReasons(|g| g.out(0))
        nvmlDeviceGetCurrentClocksEventReasons(|g| g.out(0))
        nvmlDeviceGetSupportedClocksThrottleReasons(|g| g.out(0))
        nvmlDeviceGetSupportedClocksEventReasons(|g| g.out(0))
        nvmlDeviceGetClockInfo(|_| 1, |g| g.out(0))
        nvmlDeviceGetMaxClockInfo(|_| 1, |g| g.out(0))
        nvmlDeviceGetViolationStatus(|_| 1, |g| g.out(0))
        nvmlDeviceGetPerformanceState(|g| g.out(0))
        nvmlDeviceGetPersistenceMode(|g| g.out(0))
        nvmlDeviceGetComputeMode(|g| g.out(0))
        nvmlDeviceGetUtilizationRates(|g| g.out(0))
        nvmlDeviceGetPowerUsage(|g| g.out(0))
        nvmlDeviceGetEnforcedPowerLimit(|g| g.out(0))
        nvmlDeviceGetPowerManagementLimit(|g| g.out(0))
        nvmlDeviceGetPowerManagementDefaultLimit(|g| g.out(0))
        nvmlDeviceGetPowerManagementLimitConstraints(|g| g.out(0), |g| g.out(1))
        nvmlDeviceGetTotalEnergyConsumption(|g| g.out(0))
        nvmlDeviceGetTemperature(|_| 0, |g| g.out(0))
        nvmlDeviceGetTemperatureV(|g| g.tagged(1))
        nvmlDeviceGetTemperatureThreshold(|_| 0, |g| g.out(0))
        nvmlDeviceGetMarginTemperature(|g| g.tagged(1))
        nvmlDeviceGetCurrPcieLinkGeneration(|g| g.out(0))
        nvmlDeviceGetCurrPcieLinkWidth(|g| g.out(0))
        nvmlDeviceGetMaxPcieLinkGeneration(|g| g.out(0))
        nvmlDeviceGetGpuMaxPcieLinkGeneration(|g| g.out(0))
        nvmlDeviceGetMaxPcieLinkWidth(|g| g.out(0))
        nvmlDeviceGetPcieSpeed(|g| g.out(0))
        nvmlDeviceGetPcieLinkMaxSpeed(|g| g.out(0))
        nvmlDeviceGetPcieReplayCounter(|g| g.out(0))
        nvmlDeviceGetPcieThroughput(|_| 1, |g| g.out(0))
        nvmlDeviceGetNvLinkState(|_| 0, |g| g.out(0))
        nvmlDeviceGetNvLinkVersion(|_| 0, |g| g.out(0))
        nvmlDeviceGetNvLinkCapability(|_| 0, |_| 0, |g| g.out(0))
        nvmlDeviceGetNvLinkRemotePciInfo_v2(|_| 0, |g| g.out(0))
        nvmlDeviceGetNvLinkRemoteDeviceType(|_| 0, |g| g.out(0))
        nvmlDeviceGetNvLinkErrorCounter(|_| 0, |_| 0, |g| g.out(0))
        nvmlDeviceGetGpuFabricInfo(|g| g.out(0))
        nvmlDeviceGetGpuFabricInfoV(|g| g.tagged(3))
        nvmlDeviceGetFieldValues(|_| 1, |g| g.field())
        nvmlDeviceGetMigMode(|g| g.out(0), |g| g.out(1))
        nvmlDeviceGetMaxMigDeviceCount(|g| g.out(0))
        nvmlDeviceGetMigDeviceHandleByIndex(|_| 0, |g| g.out(0))
        nvmlDeviceIsMigDeviceHandle(|g| g.out(0))
        nvmlDeviceGetComputeRunningProcesses_v3(|g| g.none(0), |g| g.out(1))
        nvmlDeviceGetMPSComputeRunningProcesses_v3(|g| g.none(0), |g| g.out(1))
        nvmlDeviceGetGraphicsRunningProcesses_v3(|g| g.none(0), |g| g.out(1))
        nvmlDeviceGetSupportedEventTypes(|g| g.out(0))
        nvmlDeviceGetRepairStatus(|g| g.tagged(1))
        nvmlDeviceRegisterEvents(|_| 8, |g| g.set);
    newer
        nvmlDeviceGetGpuUptime_v1
        nvmlDeviceGetUnrepairableMemoryFlag_v1
        nvmlDeviceGetBankRemapperStatus_v1;
};
