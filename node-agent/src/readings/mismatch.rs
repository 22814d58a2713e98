//! Library and kernel module of the driver with different versions: which of the two is behind.

/// Which is the older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The library that we have loaded: the driver was upgraded under us, and a new process or container gets the new one.
    LibraryOlder {
        /// The library's version.
        library: String,
        /// The module's version.
        module: String,
    },
    /// The kernel module: an upgrade waits for a reload of the module or a reboot.
    ModuleOlder,
    /// One version is not known, or both are the same.
    Unknown,
}

impl Mismatch {
    /// `library`: its own version, `12.570.86.15`, or the driver's, `570.86.15`; `module`: as sysfs has it.
    pub fn of(library: Option<&str>, module: Option<&str>) -> Self {
        let (Some(library), Some(module)) = (library, module) else { return Self::Unknown };
        let (Some(mine), Some(loaded)) = (of_driver(library), of_driver(module)) else { return Self::Unknown };
        let (library, module) = (library.to_owned(), module.to_owned());
        match mine.cmp(&loaded) {
            std::cmp::Ordering::Less => Self::LibraryOlder { library, module },
            std::cmp::Ordering::Greater => Self::ModuleOlder,
            std::cmp::Ordering::Equal => Self::Unknown,
        }
    }
}

/// The numbers of the driver's version. The library puts the number of its interface in front of it; drivers have had
/// numbers above 100 for longer than NVML exists.
fn of_driver(version: &str) -> Option<Vec<u64>> {
    let numbers: Option<Vec<u64>> = version.trim().split('.').map(|part| part.parse().ok()).collect();
    let numbers = numbers?;
    let skipped = usize::from(numbers.first().is_some_and(|first| *first < 100));
    numbers.get(skipped..).filter(|rest| !rest.is_empty()).map(<[u64]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_one_is_told_by_the_driver_version_behind_the_number_of_the_interface() {
        let of = |library, module| Mismatch::of(library, module);
        let is_library = |mismatch| matches!(mismatch, Mismatch::LibraryOlder { .. });
        let is_module = |mismatch| mismatch == Mismatch::ModuleOlder;
        assert!(is_library(of(Some("12.570.86.15"), Some("580.65.06"))));
        assert!(is_library(of(Some("570.86.15"), Some("570.124.06"))));
        assert!(is_module(of(Some("13.580.65.06"), Some("570.86.15"))));
        for unknown in [
            of(None, Some("570.86.15")),
            of(Some("12.570.86.15"), None),
            of(Some("12.570.86.15"), Some("570.86.15")),
            of(Some("twelve"), Some("570.86.15")),
            of(Some("12"), Some("570.86.15")),
        ] {
            assert_eq!(unknown, Mismatch::Unknown);
        }
    }
}
