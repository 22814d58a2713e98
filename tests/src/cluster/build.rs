//! Builds programs from the pinned Go modules into the cache.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::binaries::{Error, Tool, modules_folder};
use crate::process::spawn_bound;

/// Between two lines of progress: whole lines, as cargo may print on the same terminal meanwhile.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Prefix of the folders that programs are built into before they are moved to their place.
const BUILDING: &str = ".building-";
/// Lines of go's output that an error quotes.
const QUOTED_LINES: usize = 20;

/// Builds the tools into `cache`. A killed build leaves no incomplete program, and two processes never build at once.
pub(super) fn build(tools: &[&Tool], cache: &Path) -> Result<(), Error> {
    if !is_go_installed() {
        return Err(Error::NoGo { missing: tools.iter().map(|tool| tool.name).collect() });
    }
    std::fs::create_dir_all(cache).map_err(Error::file("make", cache))?;
    let _lock = lock(&cache.join(".lock"))?;
    remove_halves(cache);
    // Whoever held the lock before may have built some of them.
    let missing: Vec<&Tool> = tools.iter().copied().filter(|tool| !cache.join(tool.name).exists()).collect();
    announce(&missing, cache);
    // One `go build` for all that share a module and flags: they share most packages.
    let mut groups: BTreeMap<(&str, bool), Vec<&Tool>> = BTreeMap::new();
    for tool in missing {
        groups.entry((tool.module, tool.stamped)).or_default().push(tool);
    }
    for ((module, stamped), group) in groups {
        build_group(&modules_folder().join(module), stamped, &group, cache)?;
    }
    Ok(())
}

fn is_go_installed() -> bool {
    let go =
        Command::new("go").arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    go.is_ok_and(|status| status.success())
}

/// Held until it is dropped, or its process ends.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::file("make", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("Another process is building the control plane; waiting for it.");
            file.lock().map_err(Error::file("lock", path))?;
        }
        Err(TryLockError::Error(source)) => return Err(Error::file("lock", path)(source)),
    }
    Ok(file)
}

/// Removes what killed builds have left. Nobody else is building: we hold the lock.
fn remove_halves(cache: &Path) {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    for half in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(BUILDING)) {
        let _ = std::fs::remove_dir_all(half.path());
    }
}

fn announce(tools: &[&Tool], cache: &Path) {
    let (megabytes, seconds) =
        tools.iter().fold((0, 0), |(size, time), tool| (size + tool.megabytes, time + tool.seconds));
    if !tools.is_empty() {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name).collect();
        let minutes = seconds.div_ceil(60);
        eprintln!(
            "Building {} with Go, this once: about {minutes} min on 2 cores, {megabytes} MB in {}",
            names.join(", "),
            cache.display()
        );
    }
}

fn build_group(module: &Path, stamped: bool, tools: &[&Tool], cache: &Path) -> Result<(), Error> {
    // On the same file system as the cache, so that the last step is a rename.
    let folder = tempfile::Builder::new().prefix(BUILDING).tempdir_in(cache);
    let folder = folder.map_err(Error::file("make a folder in", cache))?;
    let output = match tools {
        // The name of a package's folder need not be the program's (etcd's is `v3`).
        [tool] => folder.path().join(tool.name),
        _ => folder.path().join(""),
    };
    let args = arguments(stamped, module, &output, tools)?;
    run_go(module, &args)?;
    for tool in tools {
        let target = cache.join(tool.name);
        std::fs::rename(folder.path().join(tool.name), &target).map_err(Error::file("write", &target))?;
    }
    Ok(())
}

fn arguments(stamped: bool, module: &Path, output: &Path, tools: &[&Tool]) -> Result<Vec<String>, Error> {
    let mut linking = "-s -w".to_owned();
    if stamped {
        let version = kubernetes_version(module)?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        for (variable, value) in [
            ("k8s.io/component-base/version.gitVersion", version.as_str()),
            ("k8s.io/component-base/version.gitMajor", major),
            ("k8s.io/component-base/version.gitMinor", minor),
            ("k8s.io/client-go/pkg/version.gitVersion", version.as_str()),
        ] {
            linking.extend([" -X ", variable, "=", value]);
        }
    }
    // Readonly: go.sum is what the cache is keyed by, and it is not the build's to change. -v names each package as it is compiled.
    let mut args: Vec<String> =
        ["build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath"].map(str::to_owned).into();
    args.extend([format!("-ldflags={linking}"), "-o".to_owned(), output.display().to_string()]);
    args.extend(tools.iter().map(|tool| tool.package.to_owned()));
    Ok(args)
}

fn kubernetes_version(module: &Path) -> Result<String, Error> {
    let path = module.join("go.mod");
    let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let version = text.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some("k8s.io/kubernetes")).then(|| words.next())?
    });
    let missing = || Error::file("find k8s.io/kubernetes in", &path)(std::io::ErrorKind::NotFound.into());
    version.map(str::to_owned).ok_or_else(missing)
}

fn run_go(module: &Path, args: &[String]) -> Result<(), Error> {
    let failed = |problem: String| Error::Build {
        command: format!("go {}", args.join(" ")),
        folder: module.to_owned(),
        problem,
    };
    let mut go = Command::new("go");
    go.args(args).current_dir(module).env("CGO_ENABLED", "0").env("GOWORK", "off");
    go.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut go = spawn_bound(go).map_err(|error| failed(error.to_string()))?;
    let said = go.stderr.take().map(show_progress).unwrap_or_default();
    let status = go.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(format!("{status}\n{}", said.into_iter().collect::<Vec<_>>().join("\n"))))
}

/// Prints progress until go closes its stderr; returns the last lines that are not names of packages.
fn show_progress(stderr: ChildStderr) -> VecDeque<String> {
    let (lines, inbox) = channel();
    std::thread::spawn(move || {
        BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    follow(&inbox)
}

fn follow(lines: &Receiver<String>) -> VecDeque<String> {
    let (start, mut shown, mut packages) = (Instant::now(), Instant::now(), 0_u32);
    let mut said = VecDeque::new();
    loop {
        match lines.recv_timeout(PROGRESS_EVERY) {
            Ok(line) if is_package(&line) => packages += 1,
            Ok(line) => {
                said.push_back(line);
                said.drain(..said.len().saturating_sub(QUOTED_LINES));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            eprintln!("  Go: {packages} packages compiled after {} s", start.elapsed().as_secs());
        }
    }
    said
}

/// With -v go prints import paths alone on their lines; everything else it says has blanks or a colon.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains([' ', ':', '\t'])
}

#[cfg(test)]
mod tests {
    use super::{arguments, is_package, kubernetes_version, remove_halves};
    use crate::cluster::binaries::{TOOLS_WANTED, modules_folder};

    #[test]
    fn kubernetes_is_told_the_release_that_the_module_pins() {
        let version = kubernetes_version(&modules_folder()).unwrap();
        assert!(version.starts_with("v1."), "{version}");
        let args = arguments(true, &modules_folder(), "out".as_ref(), &[&TOOLS_WANTED[0]]).unwrap().join(" ");
        assert!(args.contains(&format!("component-base/version.gitVersion={version}")), "{args}");
        assert!(args.contains("-mod=readonly"), "{args}");
    }

    #[test]
    fn every_tool_is_pinned_by_its_module() {
        for tool in TOOLS_WANTED {
            let text = std::fs::read_to_string(modules_folder().join(tool.module).join("go.mod")).unwrap();
            assert!(text.contains(tool.package), "{} is not a tool of its go.mod", tool.package);
        }
    }

    #[test]
    fn what_a_killed_build_left_is_removed_and_finished_programs_stay() {
        let cache = tempfile::tempdir().unwrap();
        std::fs::create_dir(cache.path().join(".building-x1")).unwrap();
        std::fs::write(cache.path().join("etcd"), []).unwrap();
        remove_halves(cache.path());
        assert!(!cache.path().join(".building-x1").exists() && cache.path().join("etcd").exists());
    }

    #[test]
    fn names_of_packages_are_told_from_errors() {
        assert!(is_package("k8s.io/api/core/v1"));
        assert!(!is_package("# k8s.io/api/core/v1"));
        assert!(!is_package("main.go:3:2: undefined: x"));
    }
}
