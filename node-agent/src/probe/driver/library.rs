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
use super::return_codes::kind_of;
use super::sections::{Reader, Remotes, ancestors, slowdown_fields};
use crate::readings::inventory::{NvmlGpu, NvmlView};
use crate::readings::sample::{GpuReadings, Sample, Section, TopologyReading};

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
        Self { library, dev_root, calls, loaded: None, loads: 0 }
    }

    /// Takes a sample; blocks for as long as the driver does.
    pub(super) fn sample(&mut self, sections: Vec<Section>, timings: bool) -> Sample {
        let begin = Instant::now();
        self.calls.asked.watch(timings);
        let mut sample = match self.load() {
            Ok(loaded) => loaded.sample(&sections),
            Err(error) => without_library(&error),
        };
        if is_worth_another_load(&sample.view) {
            self.loaded = None;
        }
        if sample.view.status != NvmlView::OK || !sample.view.errors.is_empty() {
            sample.device_access = Some(access::look(&self.dev_root, &self.calls));
        }
        sample.slowest = self.calls.asked.slowest().map(|(name, took)| (name.to_owned(), millis(took)));
        sample.calls = self.calls.asked.take_times();
        sample.took_ms = millis(begin.elapsed());
        sample.sections = sections;
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
    match error {
        LoadError::Library(_) => view.fail("LibraryNotFound".to_owned(), &message),
        LoadError::Init(failure) => view.fail(kind_of(failure.code), &message),
    }
    sample_of(view, None, Vec::new())
}

fn sample_of(view: NvmlView, library_version: Option<String>, gpus: Vec<GpuReadings>) -> Sample {
    Sample {
        sections: Vec::new(),
        took_ms: 0,
        slowest: None,
        view,
        device_access: None,
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
        let (mut view, found) = identity::read(library, &mut failures);
        let library_version = failures.keep(None, None, library.library_version());
        let fields = slowdown_fields(view.driver.as_deref());
        let gpus = addressed(&found);
        remotes.retain(|known, _| gpus.iter().any(|(_, pci)| pci == known));
        let mut readings: Vec<GpuReadings> = gpus
            .iter()
            .map(|(gpu, pci)| {
                let remotes = remotes.entry(pci.clone()).or_default();
                Reader::new(library, (*gpu, pci), fields, remotes, &mut failures).read(sections)
            })
            .collect();
        if sections.contains(&Section::Topology) {
            for (reading, ancestors) in readings.iter_mut().zip(ancestors(library, &gpus, &mut failures)) {
                reading.topology = Some(TopologyReading { ancestors });
            }
        }
        if events.is_none() && addresses.is_empty() {
            *events = Events::watch(library, found.iter().map(|(gpu, read)| (*gpu, read.pci.clone())));
        }
        for (gpu, pci) in &gpus {
            if let Some(index) = gpu.about.index {
                addresses.insert(index, pci.clone());
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

fn addressed<'library>(found: &[(Gpu<'library>, NvmlGpu)]) -> Vec<(Gpu<'library>, String)> {
    found.iter().filter_map(|(gpu, _)| Some((*gpu, gpu.about.pci?.to_string()))).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
