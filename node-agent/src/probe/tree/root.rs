//! Reads a file tree that may hold anything: garbage, FIFOs, endless files, circular links and links out of the tree.
//!
//! Links are resolved here rather than by the kernel, so that no path leaves the root. (openat2 can do that, but kernels
//! before 5.6 and some seccomp profiles lack it.) Only regular files are read, without blocking and up to a limit.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Error, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Files larger than this are refused. Files of sysfs hold at most one page; `/proc/PID/limits` has about 1.3 KiB.
const MAX_BYTES: u64 = 64 * 1024;
/// Names read from one folder; a large host has about 1,000 PCI functions.
pub(super) const MAX_NAMES: usize = 8192;
/// As many links as the kernel follows in one path (MAXSYMLINKS).
const MAX_LINKS: usize = 40;

/// The root of a tree.
pub(super) struct Root {
    path: PathBuf,
}

/// A path below the root, with all links resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(PathBuf);

impl Place {
    /// A name directly below it, not resolved: only for files that are never links in any kernel.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The parts of the path from the root.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| part.to_str())
    }

    /// The last part.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.file_name()?.to_str()
    }
}

impl Root {
    /// The tree below `path`, which may itself be a link.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) }
    }

    /// A path of this tree as messages show it.
    pub(super) fn shown(&self, inside: impl AsRef<Path>) -> String {
        self.path.join(inside).display().to_string()
    }

    /// Resolves all links of a path.
    pub(super) fn place(&self, inside: impl AsRef<Path>) -> io::Result<Place> {
        let mut rest = self.parts_of(inside.as_ref())?;
        let (mut place, mut links) = (PathBuf::new(), 0);
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                if !place.pop() {
                    return Err(Error::new(ErrorKind::PermissionDenied, "leads out of the tree"));
                }
                continue;
            }
            let next = place.join(&part);
            if !fs::symlink_metadata(self.path.join(&next))?.file_type().is_symlink() {
                place = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::other("too many links"));
            }
            let target = fs::read_link(self.path.join(&next))?;
            if target.is_absolute() {
                place = PathBuf::new();
            }
            for part in self.parts_of(&target)?.into_iter().rev() {
                rest.push_front(part);
            }
        }
        Ok(Place(place))
    }

    /// The parts of a path; an absolute path must lie below the root.
    fn parts_of(&self, path: &Path) -> io::Result<VecDeque<String>> {
        let inside = if path.is_absolute() {
            let out = || Error::new(ErrorKind::PermissionDenied, "leads out of the tree");
            path.strip_prefix(&self.path).map_err(|_| out())?
        } else {
            path
        };
        let part = |component: Component<'_>| match component {
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
            Component::ParentDir => Some("..".to_owned()),
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        };
        Ok(inside.components().filter_map(part).collect())
    }

    /// The target of a link, which is not followed; it may be a dangling symlink.
    pub(super) fn link_target(&self, inside: impl AsRef<Path>) -> io::Result<PathBuf> {
        let inside = inside.as_ref();
        let folder = self.place(inside.parent().unwrap_or_else(|| Path::new("")))?;
        fs::read_link(self.path.join(folder.0).join(inside.file_name().unwrap_or_default()))
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, inside: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let place = self.place(inside)?;
        let entries = fs::read_dir(self.path.join(place.0))?;
        let mut names = Vec::new();
        for entry in entries.take(MAX_NAMES) {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// The text of a file; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&self, inside: impl AsRef<Path>) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.open(inside.as_ref())?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, format!("longer than {MAX_BYTES} bytes")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file's text, parsed; `None` if it is missing, unreadable or does not parse.
    pub(super) fn read<T>(&self, inside: impl AsRef<Path>, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.text(inside).ok().and_then(|text| parse(&text))
    }

    /// The first bytes of a file.
    pub(super) fn first_bytes<const N: usize>(&self, inside: impl AsRef<Path>) -> io::Result<[u8; N]> {
        let mut first = [0; N];
        self.open(inside.as_ref())?.read_exact(&mut first)?;
        Ok(first)
    }

    /// Opens a regular file and refuses everything else. A FIFO does not make it wait for a writer.
    fn open(&self, inside: &Path) -> io::Result<File> {
        let path = self.path.join(self.place(inside)?.0);
        let refused = || Error::new(ErrorKind::InvalidInput, "no regular file");
        // Opening a device node can have side effects, so check first.
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(refused());
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(&path, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/a/b")).unwrap();
        fs::write(folder.path().join("root/a/b/file"), "inside\n").unwrap();
        fs::write(folder.path().join("outside"), "outside\n").unwrap();
        let root = Root::new(&folder.path().join("root"));
        (folder, root)
    }

    #[test]
    fn links_inside_are_followed_relative_and_absolute() {
        let (folder, root) = tree();
        let at = folder.path().join("root");
        symlink("../a/b", at.join("a/relative")).unwrap();
        symlink(at.canonicalize().unwrap().join("a/b"), at.join("absolute")).unwrap();
        symlink("../../a/relative/file", at.join("a/b/twice")).unwrap();
        for path in ["a/relative/file", "absolute/file", "a/b/twice", "./a//b/file", "a/b/../b/file"] {
            assert_eq!(root.text(path).unwrap(), "inside\n", "{path}");
        }
        assert_eq!(root.place("absolute").unwrap().parts().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_link_out_of_the_tree_is_refused_however_it_is_written() {
        let (folder, root) = tree();
        let at = folder.path().join("root");
        symlink("../outside", at.join("up")).unwrap();
        symlink("../../outside", at.join("a/upper")).unwrap();
        symlink(folder.path().join("outside"), at.join("absolute")).unwrap();
        symlink("..", at.join("parent")).unwrap();
        for path in ["up", "a/upper", "absolute", "parent/outside", "../outside", "a/../../outside"] {
            assert_eq!(root.text(path).unwrap_err().kind(), ErrorKind::PermissionDenied, "{path}");
        }
    }

    #[test]
    fn a_circle_of_links_ends() {
        let (folder, root) = tree();
        let at = folder.path().join("root");
        symlink("two", at.join("one")).unwrap();
        symlink("one", at.join("two")).unwrap();
        symlink(".", at.join("a/self")).unwrap();
        assert_eq!(root.text("one").unwrap_err().to_string(), "too many links");
        assert_eq!(root.text("a/self/self/b/file").unwrap(), "inside\n");
        assert!(root.text(format!("a/{}b/file", "self/".repeat(MAX_LINKS + 1))).is_err());
    }

    #[test]
    fn what_is_no_regular_file_or_too_long_is_refused_without_waiting() {
        let (folder, root) = tree();
        let at = folder.path().join("root");
        rustix::fs::mknodat(rustix::fs::CWD, at.join("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::write(at.join("long"), vec![b'1'; 70_000]).unwrap();
        fs::write(at.join("garbage"), [0xff, b'1']).unwrap();
        assert_eq!(root.text("fifo").unwrap_err().to_string(), "no regular file");
        assert_eq!(root.text("a").unwrap_err().to_string(), "no regular file");
        assert_eq!(root.text("long").unwrap_err().to_string(), "longer than 65536 bytes");
        assert_eq!(root.text("garbage").unwrap(), "\u{fffd}1");
        assert_eq!(root.first_bytes::<2>("garbage").unwrap(), [0xff, b'1']);
        assert!(root.first_bytes::<3>("garbage").is_err());
    }
}
