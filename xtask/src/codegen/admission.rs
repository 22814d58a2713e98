//! The ValidatingAdmissionPolicies, from templates in `admission/` and the names in `crds::names`.
//!
//! Templates keep the comments and the layout of the expressions, which reviewers of the deployed files need.

use super::Error;
use crds::names;

/// The largest report that admission lets pass, as it measures it: more than any that an agent sends
/// ([`crds::node_health::MAX_REPORT_BYTES`]), and so little that no content makes it 64 KiB of JSON.
const MAX_MEMBER_BYTES: usize = 24 * 1024;

/// File name and text of each template. Placeholders are `@NAME@`.
const TEMPLATES: &[(&str, &str)] = &[
    ("agent.yaml", include_str!("admission/agent.yaml")),
    ("operator.yaml", include_str!("admission/operator.yaml")),
    ("nodehealth-writers.yaml", include_str!("admission/nodehealth-writers.yaml")),
    ("healthcheckresult-writers.yaml", include_str!("admission/healthcheckresult-writers.yaml")),
    ("overrides.yaml", include_str!("admission/overrides.yaml")),
    ("lease-writers.yaml", include_str!("admission/lease-writers.yaml")),
];

/// Every file in `deploy/admission`: its name and its content.
pub(super) fn files() -> Result<Vec<(&'static str, String)>, Error> {
    let user = |account: &str| format!("system:serviceaccount:{}:{account}", names::NAMESPACE);
    let values = [
        ("@OPERATOR@", user(names::OPERATOR_SERVICE_ACCOUNT)),
        ("@AGENT@", user(names::AGENT_SERVICE_ACCOUNT)),
        ("@PROBE@", user(names::PROBE_SERVICE_ACCOUNT)),
        ("@GROUP@", names::GROUP.to_owned()),
        ("@PREFIX@", names::PREFIX.to_owned()),
        ("@LEASE_NAMESPACE@", names::LEASE_NAMESPACE.to_owned()),
        ("@NODE_CONDITION@", names::NODE_CONDITION.to_owned()),
        ("@MAX_MEMBER_BYTES@", MAX_MEMBER_BYTES.to_string()),
    ];
    TEMPLATES.iter().map(|(name, template)| fill(name, template, &values).map(|content| (*name, content))).collect()
}

fn fill(template: &'static str, text: &str, values: &[(&str, String)]) -> Result<String, Error> {
    let filled = values.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value));
    match filled.split_once('@') {
        None => Ok(filled),
        Some((_, rest)) => {
            let placeholder = format!("@{}@", rest.split('@').next().unwrap_or_default());
            Err(Error::Placeholder { template, placeholder })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_without_a_value_is_an_error_that_names_it() {
        let error = fill("agent.yaml", "user: @SOMEBODY@\n", &[]).unwrap_err().to_string();
        assert!(error.contains("agent.yaml: @SOMEBODY@ has no value"), "{error}");
    }

    #[test]
    fn every_policy_fails_closed_and_only_a_user_of_ours_can_be_refused_what_is_not_ours() {
        use serde::Deserialize;
        // People create these objects, so the policy is about everybody. An error in it refuses nothing else.
        let about_everybody = ["gpu-health-overrides", "gpu-health-overrides-not-implemented"];
        for (name, content) in files().unwrap() {
            for document in serde_yaml::Deserializer::from_str(&content) {
                let object = serde_json::Value::deserialize(document).unwrap();
                if object["kind"] == "ValidatingAdmissionPolicy" {
                    assert_eq!(object["spec"]["failurePolicy"], "Fail", "{name}");
                    if about_everybody.iter().any(|known| object["metadata"]["name"] == *known) {
                        let rules = object["spec"]["matchConstraints"]["resourceRules"].as_array().unwrap();
                        assert!(
                            rules.iter().all(|rule| rule["apiGroups"] == serde_json::json!([names::GROUP])),
                            "{name}"
                        );
                    } else {
                        let conditions = object["spec"]["matchConditions"].as_array().unwrap();
                        assert_eq!(conditions.len(), 1, "{name}");
                        assert!(
                            conditions[0]["expression"].as_str().unwrap().contains("request.userInfo.username"),
                            "{name}"
                        );
                    }
                    assert!(
                        object["spec"].get("paramKind").is_none(),
                        "{name}: a policy whose parameters are missing denies every request"
                    );
                }
            }
        }
    }
}
