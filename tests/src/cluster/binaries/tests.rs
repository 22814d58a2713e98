use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Error, Search, TOOLS_WANTED, Tool, newest_release_folder, release_in};

fn tool(name: &str) -> &'static Tool {
    TOOLS_WANTED.iter().find(|tool| tool.name == name).unwrap()
}

/// A folder with a program that prints this.
fn program(folder: &Path, name: &str, prints: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    // Written by another process: a file that this one has open for writing while another test forks cannot be executed.
    let script = r#"printf '#!/bin/sh\necho "%s"\n' "$2" >"$1" && chmod 755 "$1""#;
    let written = Command::new("sh").args(["-c", script, "sh"]).arg(&path).arg(prints).status().unwrap();
    assert!(written.success());
    path
}

struct Machine {
    root: tempfile::TempDir,
    search: Search,
}

fn machine() -> Machine {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let search = Search { assets: None, envtest: Some(at("envtest")), path: vec![at("bin")], cache: at("cache") };
    Machine { root, search }
}

impl Machine {
    fn put(&self, folder: &str, name: &str, prints: &str) -> PathBuf {
        program(&self.root.path().join(folder), name, prints)
    }
}

#[test]
fn places_are_searched_in_their_order() {
    let mut machine = machine();
    let etcd = tool("etcd");
    assert_eq!(machine.search.find(etcd).unwrap(), None);
    let cached = machine.put("cache", "etcd", "never asked");
    assert_eq!(machine.search.find(etcd).unwrap(), Some(cached));
    let in_path = machine.put("bin", "etcd", "etcd Version: 3.5.9");
    assert_eq!(machine.search.find(etcd).unwrap(), Some(in_path));
    let of_envtest = machine.put("envtest/1.34.0-linux-amd64", "etcd", "etcd Version: 3.6.4");
    assert_eq!(machine.search.find(etcd).unwrap(), Some(of_envtest));
    let asset = machine.put("assets", "etcd", "etcd Version: 3.6.5");
    machine.search.assets = Some(machine.root.path().join("assets"));
    assert_eq!(machine.search.find(etcd).unwrap(), Some(asset));
}

#[test]
fn a_tool_that_the_assets_lack_is_searched_elsewhere() {
    let mut machine = machine();
    machine.put("assets", "kube-apiserver", "Kubernetes v1.34.1");
    machine.search.assets = Some(machine.root.path().join("assets"));
    let cached = machine.put("cache", "kube-scheduler", "");
    assert_eq!(machine.search.find(tool("kube-scheduler")).unwrap(), Some(cached));
}

#[test]
fn a_tool_in_path_that_is_too_old_is_passed_over() {
    let machine = machine();
    machine.put("bin", "kube-apiserver", "Kubernetes v1.32.9");
    machine.put("bin", "kubectl", "Client Version: v1.29.0");
    assert_eq!(machine.search.find(tool("kube-apiserver")).unwrap(), None);
    assert_eq!(machine.search.find(tool("kubectl")).unwrap(), None);
    let fresh = machine.put("bin", "kube-apiserver", "Kubernetes v1.33.0");
    assert_eq!(machine.search.find(tool("kube-apiserver")).unwrap(), Some(fresh));
}

#[test]
fn assets_that_are_too_old_or_missing_are_an_error_with_the_remedy() {
    let mut machine = machine();
    machine.put("assets", "kube-apiserver", "Kubernetes v1.31.0");
    machine.search.assets = Some(machine.root.path().join("assets"));
    let error = machine.search.find(tool("kube-apiserver")).unwrap_err().to_string();
    assert!(
        error.ends_with("its kube-apiserver is 1.31, and 1.33 or newer is needed. Correct it or unset it."),
        "{error}"
    );
    machine.search.assets = Some("/no/such/folder".into());
    let error = machine.search.find(tool("etcd")).unwrap_err().to_string();
    assert_eq!(error, "KUBEBUILDER_ASSETS=/no/such/folder: there is no such folder. Correct it or unset it.");
}

#[test]
fn the_newest_folder_of_envtest_is_taken_by_number_not_by_text() {
    let machine = machine();
    let parent = machine.root.path().join("envtest");
    for folder in ["1.9.0-linux-amd64", "1.36.2-linux-amd64", "1.36.10-linux-amd64", "notes"] {
        std::fs::create_dir_all(parent.join(folder)).unwrap();
    }
    assert_eq!(newest_release_folder(&parent), Some(parent.join("1.36.10-linux-amd64")));
}

#[test]
fn a_file_that_cannot_be_executed_is_no_program() {
    let machine = machine();
    let path = machine.put("cache", "etcd", "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(machine.search.find(tool("etcd")).unwrap(), None);
}

#[test]
fn releases_are_read_from_what_each_tool_prints() {
    assert_eq!(release_in("Kubernetes v1.36.3\n"), Some((1, 36)));
    assert_eq!(
        release_in("etcd Version: 3.6.8\nGit SHA: Not provided (use ./build)\nGo Version: go1.26.8\n"),
        Some((3, 6))
    );
    assert_eq!(release_in("Client Version: v1.36.3\nKustomize Version: v5.8.1\n"), Some((1, 36)));
    assert_eq!(release_in("kwok version v0.8.0 go1.26.8 (linux/amd64)\n"), Some((0, 8)));
    assert_eq!(release_in("v1.30.0-eks-1\n"), Some((1, 30)));
    assert_eq!(release_in("unknown\n"), None);
}

#[test]
fn without_go_and_programs_the_error_names_both_ways_out() {
    let error = Error::NoGo { missing: vec!["etcd", "kube-apiserver"] }.to_string();
    assert!(error.starts_with("etcd, kube-apiserver cannot be found, and there is no Go"), "{error}");
    assert!(error.contains("Install Go 1.26") && error.contains("KUBEBUILDER_ASSETS"), "{error}");
}
