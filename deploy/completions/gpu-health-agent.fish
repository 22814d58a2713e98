# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_gpu_health_agent_global_optspecs
    string join \n h/help V/version
end

function __fish_gpu_health_agent_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_gpu_health_agent_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_gpu_health_agent_using_subcommand
    set -l cmd (__fish_gpu_health_agent_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -s V -l version -d 'Print version'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -f -a "run" -d 'Measures this node and reports to the API server until SIGTERM'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -f -a "check" -d 'Checks this machine, or files copied from another one, and prints whether it is healthy'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -f -a "probe" -d 'Runs one probe, prints its report as JSON and exits'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -f -a "runner" -d 'Runs probes for a reporter'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l node-name -d 'Name of the Node that this agent runs on' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l kubeconfig -d 'Path of a kubeconfig. Without it and without --server, the pod\'s service account is used' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l server -d 'URL of the API server' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l certificate-authority -d 'File with the CA certificates that sign the API server\'s certificate' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l token-file -d 'File with the bearer token. It is read again every minute because tokens rotate' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l kernel-log -d 'Kernel log: `auto`, or the path of a device, file or FIFO with records in /dev/kmsg format' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l nvml-library -d 'Name or path of the NVIDIA management library' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l call-deadline-ms -d 'A call into the library that has not returned after this many milliseconds counts as hung' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l init-deadline-ms -d 'The same for the start of the library, which may take half a minute on a healthy node' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l custom-directory -d 'Directory of the custom checks. No program outside of it is run' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l iperf3 -d 'Name or path of iperf3' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l address -d 'Address at which peers reach this node; repeat for several. Default: the addresses of all interfaces that are up' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l http -d 'Address that serves /metrics, /healthz and /readyz: ADDRESS:PORT, or 0 for a free port on loopback' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l runner-socket -d 'Socket of a runner that is already running; what it may run is set by its own flags. Without it the agent starts a runner of its own' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l lease-seconds -d 'Period of Lease renewals, in seconds' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l log-level -d 'Log level: error, warn, info, debug or trace' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l proc-root -d 'Where the node\'s /proc is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l sysfs-root -d 'Where the node\'s /sys is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l dev-root -d 'Where the node\'s /dev is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -l custom-same-user -d 'Run custom checks with the runner\'s own uid instead of 65534'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand run" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l checks -d 'Comma-separated names of the checks to run. Default: all' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l profile -d 'NodeHardwareProfile (YAML) with the expected hardware; of several in the file, the one with this machine\'s GPU models and number is used. Without it no count, width or rate is judged' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -s o -l output -d 'Output format' -r -f -a "table\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l color -d 'When to colour the table' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Always'
never\t'Never'"
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l watch -d 'Check again every SECONDS (5 if no number is given) and print what changed; as JSON or YAML, the whole document then' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l kernel-log -d 'Kernel log: `auto`, `none`, or a file in /dev/kmsg format or as printed by dmesg or journalctl' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l proc-root -d 'Where /proc is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l sysfs-root -d 'Where /sys is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l dev-root -d 'Where /dev is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l nvml-library -d 'Name or path of the NVIDIA management library' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l call-deadline-ms -d 'A call into the library that has not returned after this many milliseconds counts as hung' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l init-deadline-ms -d 'The same for the start of the library, which may take half a minute on a healthy node' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l log-level -d 'Log level on stderr: error, warn, info, debug or trace' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -l quick -d 'Take one reading instead of as many as the checks need (a second apart). What then cannot be judged is listed'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -f -a "sampler" -d 'Loads the driver\'s library and answers requests from stdin, line by line, until stdin is closed'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -f -a "tree" -d 'Reads PCI, links, RDMA ports and EFA from sysfs and procfs, without the driver\'s library'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -f -a "custom" -d 'Runs a program by name from the directory of custom checks'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -f -a "iperf-server" -d 'Runs the listening half of a bandwidth test'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -f -a "iperf-client" -d 'Runs the sending half of a bandwidth test'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and not __fish_seen_subcommand_from sampler tree custom iperf-server iperf-client help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -l nvml-library -d 'Name or path of the NVIDIA management library' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -l dev-root -d 'Root of the tree that is `/dev` on a node' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -l sysfs-root -d 'Root of the tree that is `/sys` on a node' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -l call-deadline-ms -d 'A call that takes longer than this many milliseconds is reported as hung' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -l init-deadline-ms -d 'As `--call-deadline-ms`, for the start of the library: on a node whose GPUs have to wake up it takes half a minute' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -l first-ask -d 'The request that was open when the process replaced itself. Only the sampler passes it, to itself' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from sampler" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from tree" -l sysfs-root -d 'Root of the tree that is `/sys` on a node' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from tree" -l proc-root -d 'Root of the tree that is `/proc` on a node' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from tree" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from custom" -l program -d 'The program\'s name in that directory: lower-case letters, digits and dashes, at most 63, no dash first' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from custom" -l env -d 'KEY=VALUE for the program\'s environment; the key must begin with CHECK_. Repeatable' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from custom" -l deadline-ms -d 'Milliseconds after which a program that has not ended is killed and reported as silent. The probe\'s own deadline must be 2 s longer' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from custom" -l custom-directory -d 'The directory that programs are run from' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from custom" -l custom-same-user -d 'Run the program under the probe\'s own uid instead of 65534'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from custom" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -l bind -d 'The address to listen on' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -l port -d 'The port to listen on' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -l password -d 'What the partner of the slot sends along. Whoever does not is no partner, unless his address is one of --partners' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -l partners -d 'Addresses of the partner of the slot. Without these and without --password anybody is one' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -l until-unix-ms -d 'End of the slot, in milliseconds since 1970' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -l iperf3 -d 'Name or path of iperf3' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-server" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l server -d 'The peer\'s address' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l port -d 'The peer\'s port' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l bind -d 'The local address to send from' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l streams -d 'Parallel streams; iperf3 allows at most 128' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l seconds -d 'Length of the measurement, in seconds' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l password -d 'What is sent along for the server to know its partner' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l connect-timeout-ms -d 'Timeout of one TCP connect, in milliseconds' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l until-unix-ms -d 'End of the slot, in milliseconds since 1970' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -l iperf3 -d 'Name or path of iperf3' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from iperf-client" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "sampler" -d 'Loads the driver\'s library and answers requests from stdin, line by line, until stdin is closed'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "tree" -d 'Reads PCI, links, RDMA ports and EFA from sysfs and procfs, without the driver\'s library'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "custom" -d 'Runs a program by name from the directory of custom checks'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "iperf-server" -d 'Runs the listening half of a bandwidth test'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "iperf-client" -d 'Runs the sending half of a bandwidth test'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l socket -d 'Listen at this unix socket. Without it, stdin must be a connected unix socket' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l client-uid -d 'Numeric uid that may connect to the socket, besides root and the runner\'s own; repeat for several' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l agent-binary -d 'The program that is started as `PROGRAM probe …`; this program itself if not given' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l kill-grace-ms -d 'Milliseconds between SIGTERM and SIGKILL for a probe that is stopped or late' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l unkillable-after-ms -d 'Milliseconds after SIGKILL after which a probe counts as unkillable' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l proc-root -d 'Where /proc is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l sysfs-root -d 'Where /sys is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l dev-root -d 'Where /dev is mounted' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l nvml-library -d 'Name or path of the NVIDIA management library' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l call-deadline-ms -d 'A call into the library that has not returned after this many milliseconds counts as hung' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l init-deadline-ms -d 'The same for the start of the library, which may take half a minute on a healthy node' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l custom-directory -d 'Directory of the custom checks. No program outside of it is run' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l iperf3 -d 'Name or path of iperf3' -r -F
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l log-level -d 'Log level: error, warn, info, debug or trace' -r
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -l custom-same-user -d 'Run custom checks with the runner\'s own uid instead of 65534'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand runner" -s h -l help -d 'Print help'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and not __fish_seen_subcommand_from run check probe runner help" -f -a "run" -d 'Measures this node and reports to the API server until SIGTERM'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and not __fish_seen_subcommand_from run check probe runner help" -f -a "check" -d 'Checks this machine, or files copied from another one, and prints whether it is healthy'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and not __fish_seen_subcommand_from run check probe runner help" -f -a "probe" -d 'Runs one probe, prints its report as JSON and exits'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and not __fish_seen_subcommand_from run check probe runner help" -f -a "runner" -d 'Runs probes for a reporter'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and not __fish_seen_subcommand_from run check probe runner help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "sampler" -d 'Loads the driver\'s library and answers requests from stdin, line by line, until stdin is closed'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "tree" -d 'Reads PCI, links, RDMA ports and EFA from sysfs and procfs, without the driver\'s library'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "custom" -d 'Runs a program by name from the directory of custom checks'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "iperf-server" -d 'Runs the listening half of a bandwidth test'
complete -c gpu-health-agent -n "__fish_gpu_health_agent_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "iperf-client" -d 'Runs the sending half of a bandwidth test'
