//! Namespaces, ServiceAccounts and roles, as a table.
//!
//! Each role has only the verbs it needs. Two rules of Kubernetes shape the rows: a server-side apply that creates an
//! object needs `create` besides `patch`, and `create` cannot be restricted to a resource name.

use crds::names::{
    AGENT_SERVICE_ACCOUNT, GROUP, LEASE_NAMESPACE, NAMESPACE, OPERATOR_SERVICE_ACCOUNT, PROBE_SERVICE_ACCOUNT,
};
use serde_json::{Value, json};

/// API group, resources, verbs, and the resource name they are restricted to, if any.
struct Rule(&'static str, &'static [&'static str], &'static [&'static str], Option<&'static str>);

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["get", "list", "watch", "create", "update", "patch", "delete"];

/// The operator, cluster-wide.
const OPERATOR: &[Rule] = &[
    // To mark Nodes. No create or delete: a bug in the operator must never add or remove a Node.
    Rule("", &["nodes"], &["get", "list", "watch", "patch"], None),
    Rule("", &["nodes/status"], &["patch"], None),
    Rule("", &["events"], &["create", "patch"], None),
    Rule("events.k8s.io", &["events"], &["create", "patch"], None),
    // Delete, because a Node replaced under the same name gets a new object.
    Rule(GROUP, &["nodehealths"], &["get", "list", "watch", "create", "patch", "delete"], None),
    // Delete, for ttlSecondsAfterFinished.
    Rule(GROUP, &["healthcheckruns"], &["get", "list", "watch", "delete"], None),
    // Written once; read only to see whose it is, if the name is taken.
    Rule(GROUP, &["healthcheckresults"], &["get", "create"], None),
    Rule(GROUP, &["nodehealthpolicies", "nodehardwareprofiles"], READ, None),
    Rule(GROUP, &["nodehealthpolicies/status", "healthcheckruns/status", "nodehealths/status"], &["patch"], None),
];

/// People: what everybody may see who may see a namespace (aggregated to `view`, and so to `edit` and `admin`).
const VIEW: &[Rule] = &[Rule(
    GROUP,
    &[
        "nodehealths",
        "nodehealthpolicies",
        "nodehardwareprofiles",
        "nodehealthoverrides",
        "healthcheckruns",
        "healthcheckresults",
    ],
    READ,
    None,
)];

/// People: what describes hardware and starts nothing (aggregated to `edit`, and so to `admin`).
const EDIT: &[Rule] = &[Rule(GROUP, &["nodehardwareprofiles"], WRITE, None)];

/// People: to run checks. A run starts programs on every node that it names, so this is bound by hand.
const RUNNER: &[Rule] = &[Rule(GROUP, &["healthcheckruns"], WRITE, None)];

/// People: policies and overrides decide which nodes are tainted, so this is bound by hand. A NodeHealth is only deleted.
const ADMIN: &[Rule] = &[
    Rule(GROUP, &["nodehealthpolicies", "nodehealthoverrides"], WRITE, None),
    Rule(GROUP, &["nodehealths"], &["delete"], None),
];

/// The operator, in the namespace of the agents' Leases.
const OPERATOR_AGENT_LEASES: &[Rule] = &[Rule("coordination.k8s.io", &["leases"], READ, None)];

/// The operator, in its own namespace: the leader election Lease.
const OPERATOR_LEADER_LEASE: &[Rule] = &[
    Rule("coordination.k8s.io", &["leases"], &["create"], None),
    Rule("coordination.k8s.io", &["leases"], &["get", "update", "patch"], Some(OPERATOR_SERVICE_ACCOUNT)),
];

/// An agent, cluster-wide. RBAC cannot restrict it to its own node; deploy/admission/agent.yaml does.
const AGENT: &[Rule] = &[
    Rule(GROUP, &["nodehealths"], READ, None), // a watch begins with a list
    Rule(GROUP, &["nodehealths/status"], &["patch"], None),
];

/// An agent, in the namespace of the agents' Leases.
const AGENT_LEASES: &[Rule] = &[Rule("coordination.k8s.io", &["leases"], &["get", "create", "update", "patch"], None)];

/// A reservation pod.
const PROBE: &[Rule] =
    &[Rule(GROUP, &["nodehealths"], &["get"], None), Rule(GROUP, &["nodehealths/status"], &["patch"], None)];

/// Every file in `deploy/rbac`: its name without `.yaml`, and its objects. `kubectl apply -f deploy/rbac` applies files in
/// the order of their names, so the namespaces come first.
pub(super) fn files() -> Vec<(&'static str, Vec<Value>)> {
    let (operator, agent, probe) = (OPERATOR_SERVICE_ACCOUNT, AGENT_SERVICE_ACCOUNT, PROBE_SERVICE_ACCOUNT);
    vec![
        ("00-namespaces", vec![namespace(NAMESPACE), namespace(LEASE_NAMESPACE)]),
        (
            "operator",
            [
                vec![service_account(operator)],
                bound_role(operator, None, OPERATOR),
                bound_role(operator, Some(LEASE_NAMESPACE), OPERATOR_AGENT_LEASES),
                bound_role(operator, Some(NAMESPACE), OPERATOR_LEADER_LEASE),
            ]
            .concat(),
        ),
        (
            "agent",
            [
                vec![service_account(agent)],
                bound_role(agent, None, AGENT),
                bound_role(agent, Some(LEASE_NAMESPACE), AGENT_LEASES),
            ]
            .concat(),
        ),
        ("probe", [vec![service_account(probe)], bound_role(probe, None, PROBE)].concat()),
        (
            "people",
            vec![
                role_of_people("gpu-health-view", Some("view"), VIEW),
                role_of_people("gpu-health-edit", Some("edit"), EDIT),
                role_of_people("gpu-health-runner", None, RUNNER),
                role_of_people("gpu-health-admin", None, ADMIN),
            ],
        ),
    ]
}

/// A role for people. `into`: the role of Kubernetes into which it is aggregated; without one, nobody has it until it is
/// bound.
fn role_of_people(name: &str, into: Option<&str>, rules: &[Rule]) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(into) = into {
        metadata["labels"] = json!({format!("rbac.authorization.k8s.io/aggregate-to-{into}"): "true"});
    }
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules})
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Without automounting, only the container that needs a token mounts one.
fn service_account(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE},
        "automountServiceAccountToken": false,
    })
}

/// A role with the name of the ServiceAccount, and its binding. Cluster-wide if there is no namespace.
fn bound_role(account: &str, namespace: Option<&str>, rules: &[Rule]) -> Vec<Value> {
    let (role, binding) =
        if namespace.is_some() { ("Role", "RoleBinding") } else { ("ClusterRole", "ClusterRoleBinding") };
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    let metadata = match namespace {
        Some(namespace) => json!({"name": account, "namespace": namespace}),
        None => json!({"name": account}),
    };
    let api_version = "rbac.authorization.k8s.io/v1";
    vec![
        json!({"apiVersion": api_version, "kind": role, "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": api_version, "kind": binding, "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
        }),
    ]
}

fn rule(Rule(group, resources, verbs, name): &Rule) -> Value {
    let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    if let Some(name) = name {
        rule["resourceNames"] = json!([name]);
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All verbs that the rules of these tables grant on a resource.
    fn verbs(tables: &[&[Rule]], resource: &str) -> Vec<&'static str> {
        let rules = tables.iter().copied().flatten().filter(|rule| rule.1.contains(&resource));
        rules.flat_map(|rule| rule.2.iter().copied()).collect()
    }

    #[test]
    fn agents_and_probes_have_no_verb_on_nodes_and_write_only_a_status() {
        for tables in [&[AGENT, AGENT_LEASES][..], &[PROBE][..]] {
            assert_eq!(verbs(tables, "nodes"), Vec::<&str>::new());
            assert_eq!(verbs(tables, "nodes/status"), Vec::<&str>::new());
            assert_eq!(verbs(tables, "nodehealths/status"), ["patch"]);
            assert!(verbs(tables, "nodehealths").iter().all(|verb| READ.contains(verb)));
        }
    }

    #[test]
    fn the_operator_can_neither_create_nor_delete_a_node() {
        assert_eq!(verbs(&[OPERATOR], "nodes"), ["get", "list", "watch", "patch"]);
    }

    #[test]
    fn the_operator_reads_no_pods_and_no_kind_that_it_does_not_use() {
        for resource in ["pods", "hardwarerecords", "hardwarerecords/status", "nodehealthoverrides/status", "secrets"] {
            assert_eq!(
                verbs(&[OPERATOR, OPERATOR_AGENT_LEASES, OPERATOR_LEADER_LEASE], resource),
                [""; 0],
                "{resource}"
            );
        }
    }

    #[test]
    fn whoever_may_view_or_edit_a_namespace_sees_the_nodes_health_and_can_neither_start_a_program_nor_taint_a_node() {
        let people = files().into_iter().find(|(name, _)| *name == "people").unwrap().1;
        let aggregated = |role: &&Value| role["metadata"].get("labels").is_some();
        assert_eq!(people.iter().filter(aggregated).count(), 2);
        assert!(verbs(&[VIEW], "nodehealths").iter().eq(READ));
        for resource in ["healthcheckruns", "nodehealthpolicies", "nodehealthoverrides", "nodehealths"] {
            assert!(verbs(&[VIEW, EDIT], resource).iter().all(|verb| READ.contains(verb)), "{resource}");
        }
        assert!(verbs(&[RUNNER], "healthcheckruns").contains(&"create"));
        assert_eq!(verbs(&[RUNNER, ADMIN], "nodehealths"), ["delete"]);
    }

    #[test]
    fn no_rule_has_a_wildcard() {
        for table in [
            OPERATOR,
            OPERATOR_AGENT_LEASES,
            OPERATOR_LEADER_LEASE,
            AGENT,
            AGENT_LEASES,
            PROBE,
            VIEW,
            EDIT,
            RUNNER,
            ADMIN,
        ] {
            for Rule(group, resources, verbs, _) in table {
                assert!(!group.contains('*') && !resources.contains(&"*") && !verbs.contains(&"*"));
            }
        }
    }
}
