//! Which checks of runs may run on one node at the same time.

use crds::check::Class;

/// The pairs of classes that do not disturb each other. All other pairs take turns.
///
/// Readings disturb nothing. What a user's program needs is unknown: programs run beside everything but a check that needs
/// the GPUs to itself. Checks between nodes cannot wait for each other here, because the other node would not know: the
/// operator schedules them.
const BESIDE: &[(Class, Class)] = &[
    (Class::Passive, Class::Passive),
    (Class::Passive, Class::Light),
    (Class::Passive, Class::Exclusive),
    (Class::Passive, Class::Group),
    (Class::Passive, Class::Declared),
    (Class::Declared, Class::Declared),
    (Class::Declared, Class::Light),
    (Class::Declared, Class::Group),
    (Class::Group, Class::Group),
];

/// Whether a check of this class may begin while checks of these classes run.
pub(super) fn may_begin(class: Class, running: &[Class]) -> bool {
    let beside = |other: &Class| BESIDE.contains(&(class, *other)) || BESIDE.contains(&(*other, class));
    running.iter().all(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_needs_the_gpus_to_itself_runs_beside_readings_only() {
        for other in [Class::Light, Class::Exclusive, Class::Group, Class::Declared] {
            assert!(!may_begin(Class::Exclusive, &[Class::Passive, other]), "{other:?}");
            assert!(!may_begin(other, &[Class::Exclusive]), "{other:?}");
        }
        assert!(may_begin(Class::Exclusive, &[Class::Passive, Class::Passive]));
    }

    #[test]
    fn two_bandwidth_tests_of_one_node_take_turns_and_programs_do_not() {
        assert!(!may_begin(Class::Light, &[Class::Light]) && !may_begin(Class::Group, &[Class::Light]));
        assert!(may_begin(Class::Declared, &[Class::Declared, Class::Group, Class::Light]));
    }
}
