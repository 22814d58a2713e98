//! The library from load to shutdown, and the samples in between.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access;
use super::calls::Calls;
use super::events::Events;
use super::identity::{self, Failures};
use super::raw::{Gpu, Library, LoadError};
use super::sections::{Reader, Remotes, ancestors, slowdown_fields};
use crate::readings::inventory::NvmlView;
use crate::readings::return_codes::{Means, at_init, name_of};
use crate::readings::sample::{DeviceAccess, GpuReadings, Sample, Section, TopologyReading};

/// How often one process may load the library. Each load leaks memory in the library or the loader; with a driver
/// absent for weeks the sampler would grow by megabytes a day.
const LOADS: u32 = 64;

/// Takes samples. Loads the library on the first request.
pub(super) struct Sampler {
    library: PathBuf,
    dev_root: PathBuf,
    calls: Arc<Calls>,
    loaded: Option<Loaded>,
    loads: u32,
    refusal: Option<Refusal>,
    /// The device nodes at the last sample.
    nodes: Option<Vec<u32>>,
}

/// A start of the library that failed with a code that says nothing, as often as it came in a row. Loading the library
/// again each time would be work without end, for a code that may never change.
struct Refusal {
    view: NvmlView,
    device_access: Option<DeviceAccess>,
    times: u32,
    until: Instant,
}

impl Refusal {
    /// The pauses after the third refusal in a row and after many: our judgement.
    const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
    /// How many refusals are answered by a new load at once.
    const FREE: u32 = 2;

    /// What remains of a sample whose library refused.
    fn of(sample: &Sample, before: Option<Self>) -> Option<Self> {
        // A library that is missing or not initialized comes back by loading it, and nothing else.
        let is_mute = at_init(&sample.view.status) == Means::Unclear
            && !["LibraryNotFound", "Uninitialized"].contains(&sample.view.status.as_str());
        if sample.view.status == NvmlView::OK || !is_mute {
            return None;
        }
        let same = before.filter(|before| before.view.status == sample.view.status);
        let times = same.map_or(0, |before| before.times).saturating_add(1);
        let doubled = Self::PAUSES.0.saturating_mul(1 << times.saturating_sub(Self::FREE + 1).min(16));
        let pause = if times <= Self::FREE { Duration::ZERO } else { doubled.min(Self::PAUSES.1) };
        let Sample { view, device_access, .. } = sample;
        Some(Self { view: view.clone(), device_access: *device_access, times, until: Instant::now() + pause })
    }
}

/// Fields are dropped in this order: first the thread that waits for events, then the library.
struct Loaded {
    events: Option<Events>,
    library: Arc<Library>,
    /// The last known address of each index. The numbering is stable while the library is loaded.
    addresses: BTreeMap<u32, String>,
    /// By PCI address; GPUs that are no longer seen are forgotten.
    remotes: BTreeMap<String, Remotes>,
}

impl Sampler {
    pub(super) fn new(library: PathBuf, dev_root: PathBuf, calls: Arc<Calls>) -> Self {
        Self { library, dev_root, calls, loaded: None, loads: 0, refusal: None, nodes: None }
    }

    /// Takes a sample; blocks for as long as the driver does.
    pub(super) fn sample(&mut self, sections: Vec<Section>, timings: bool) -> Sample {
        let begin = Instant::now();
        self.calls.asked.watch(timings);
        let nodes = access::minors(&self.dev_root);
        if has_more(nodes.as_deref(), self.nodes.as_deref()) {
            self.unload();
        }
        self.nodes.clone_from(&nodes);
        let mut sample = match self.refusal.as_ref().filter(|refusal| begin < refusal.until) {
            Some(refusal) => {
                let again = sample_of(refusal.view.clone(), None, Vec::new());
                Sample { device_access: refusal.device_access, ..again }
            }
            None => self.ask(&sections),
        };
        sample.device_nodes = nodes;
        sample.slowest = self.calls.asked.slowest().map(|(name, took)| (name.to_owned(), millis(took)));
        sample.calls = self.calls.asked.take_times();
        sample.took_ms = millis(begin.elapsed());
        sample.sections = sections;
        sample
    }

    /// Loads the library anew at the next sample.
    pub(super) fn unload(&mut self) {
        self.loaded = None;
        self.refusal = None;
    }

    fn ask(&mut self, sections: &[Section]) -> Sample {
        let mut sample = match self.load() {
            Ok(loaded) => loaded.sample(sections),
            Err(error) => without_library(&error),
        };
        if is_worth_another_load(&sample.view) {
            self.loaded = None;
        }
        if may_be_our_access(&sample.view) {
            sample.device_access = Some(access::look(&self.dev_root, &self.calls));
        }
        self.refusal = Refusal::of(&sample, self.refusal.take());
        sample
    }

    /// Whether this process has loaded the library so often that the next load should be in a new process.
    pub(super) const fn is_worn(&self) -> bool {
        self.loaded.is_none() && self.loads >= LOADS
    }

    fn load(&mut self) -> Result<&mut Loaded, LoadError> {
        let loaded = if let Some(loaded) = self.loaded.take() {
            loaded
        } else {
            self.loads += 1;
            Loaded::new(Library::load(&self.library, &self.calls)?)
        };
        Ok(self.loaded.insert(loaded))
    }
}

/// Whether a device node has appeared: a library that is loaded does not look for it.
fn has_more(now: Option<&[u32]>, before: Option<&[u32]>) -> bool {
    before.zip(now).is_some_and(|(before, now)| now.iter().any(|node| !before.contains(node)))
}

/// Whether the failures may come from device nodes that refuse us. Opening them can wake a GPU up, so an answer that
/// says nothing is no reason to.
fn may_be_our_access(view: &NvmlView) -> bool {
    let speaks = |means| match means {
        Means::Lost
        | Means::ResetRequired
        | Means::CorruptedInforom
        | Means::Trouble
        | Means::NotLoaded
        | Means::Mismatch => true,
        Means::Absent | Means::Withheld | Means::Hole | Means::Unclear => false,
    };
    view.status != NvmlView::OK || view.errors.iter().any(|error| speaks(error.means()))
}

/// A library that has lost its driver, or all its GPUs, does not recover; a newly loaded one does.
fn is_worth_another_load(view: &NvmlView) -> bool {
    let lost = |index: u32| view.errors.iter().any(|error| error.index == Some(index) && error.kind == "GpuLost");
    let all_lost = view.count.is_some_and(|count| count > 0)
        && view.gpus.iter().all(|gpu| lost(gpu.index))
        && view.errors.iter().any(|error| error.kind == "GpuLost");
    view.status != NvmlView::OK || all_lost
}

fn without_library(error: &LoadError) -> Sample {
    let mut view = NvmlView::empty();
    let message = error.to_string();
    let version = match error {
        LoadError::Library(_) => {
            view.fail("LibraryNotFound".to_owned(), &message);
            None
        }
        LoadError::Init { failure, version } => {
            view.fail(name_of(failure.code), &message);
            version.clone()
        }
    };
    sample_of(view, version, Vec::new())
}

fn sample_of(view: NvmlView, library_version: Option<String>, gpus: Vec<GpuReadings>) -> Sample {
    Sample {
        sections: Vec::new(),
        took_ms: 0,
        slowest: None,
        view,
        device_access: None,
        device_nodes: None,
        library_version,
        gpus,
        calls: Vec::new(),
    }
}

impl Loaded {
    fn new(library: Library) -> Self {
        Self { events: None, library: Arc::new(library), addresses: BTreeMap::new(), remotes: BTreeMap::new() }
    }

    fn sample(&mut self, sections: &[Section]) -> Sample {
        let Self { events, library, addresses, remotes } = self;
        let mut failures = Failures::default();
        let (mut view, found) = identity::read(library, addresses, &mut failures);
        let library_version = failures.keep(None, None, library.library_version());
        let fields = slowdown_fields(view.driver.as_deref());
        let gpus: Vec<(Gpu<'_>, String)> = found.iter().map(|(gpu, read)| (*gpu, read.target())).collect();
        remotes.retain(|known, _| gpus.iter().any(|(_, pci)| pci == known));
        let mut readings: Vec<GpuReadings> = gpus
            .iter()
            .map(|(gpu, pci)| {
                let remotes = remotes.entry(pci.clone()).or_default();
                Reader::new(library, (*gpu, pci), fields, remotes, &mut failures).read(sections)
            })
            .collect();
        if sections.contains(&Section::Topology) {
            let ancestors = ancestors(library, &gpus, &mut failures);
            for ((reading, (gpu, _)), ancestors) in readings.iter_mut().zip(&gpus).zip(ancestors) {
                // Who cannot say where it is does not say how it is attached either.
                reading.topology = gpu.about.pci.is_some().then_some(TopologyReading { ancestors });
            }
        }
        if events.is_none() && addresses.is_empty() {
            *events = Events::watch(library, found.iter().map(|(gpu, read)| (*gpu, read.pci.clone())));
        }
        for (gpu, _) in &gpus {
            if let (Some(index), Some(pci)) = (gpu.about.index, gpu.about.pci) {
                addresses.insert(index, pci.to_string());
            }
        }
        view.errors = failures.into_list();
        for error in view.errors.iter_mut().filter(|error| error.pci.is_none()) {
            error.pci = error.index.and_then(|index| addresses.get(&index).cloned());
        }
        view.gpus = found.into_iter().map(|(_, gpu)| gpu).collect();
        sample_of(view, library_version, readings)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
