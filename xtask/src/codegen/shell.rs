//! Shell completions and man pages of the agent, generated from its command line.

use clap::CommandFactory as _;
use clap_complete::Shell;
use node_agent::command_line::CommandLine;
use std::collections::BTreeMap;

/// The shells, and the file names under which they look for a program's completions.
const SHELLS: &[(Shell, &str)] = &[
    (Shell::Bash, "gpu-health-agent.bash"),
    (Shell::Zsh, "_gpu-health-agent"),
    (Shell::Fish, "gpu-health-agent.fish"),
];
/// Subcommands for users, and the names of their pages. The agent itself starts the other subcommands.
const FOR_PEOPLE: &[(&str, &str)] = &[("run", "gpu-health-agent-run"), ("check", "gpu-health-agent-check")];

/// Every generated file: its path relative to the repository root, and its content.
pub(super) fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (shell, name) in SHELLS {
        let mut text = Vec::new();
        clap_complete::generate(*shell, &mut CommandLine::command(), "gpu-health-agent", &mut text);
        files.insert(format!("deploy/completions/{name}"), lossy(&text));
    }
    let command = CommandLine::command();
    files.insert("docs/man/gpu-health-agent.1".to_owned(), page(command.clone()));
    for (sub, name) in FOR_PEOPLE {
        if let Some(sub) = command.find_subcommand(sub) {
            files.insert(format!("docs/man/{name}.1"), page(sub.clone().name(*name).bin_name(*name)));
        }
    }
    files
}

fn page(command: clap::Command) -> String {
    let mut text = Vec::new();
    // Writing to a vector cannot fail.
    let _ = clap_mangen::Man::new(command).render(&mut text);
    lossy(&text)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::files;

    #[test]
    fn what_people_call_has_a_page_and_every_shell_knows_its_flags() {
        let files = files();
        assert!(files["docs/man/gpu-health-agent-check.1"].contains("kernel"));
        for shell in ["gpu-health-agent.bash", "_gpu-health-agent", "gpu-health-agent.fish"] {
            assert!(files[&format!("deploy/completions/{shell}")].contains("sysfs-root"), "{shell}");
        }
    }
}
