//! The main scenarios of a capture against a real cluster, and the same against the stand-in.
//!
//!     KUBECONFIG=... cargo test --all-features --test cluster -- --ignored
//!
//! runs them in the namespace of the current context, or in that of `SFARC_TEST_NAMESPACE`, where the account may create
//! and delete pods, Secrets and ConfigMaps, read them, and run commands in pods. Pods are made of `SFARC_TEST_IMAGE`, a
//! small image with a shell, and `SFARC_TEST_MARIADB`, one with MariaDB. Everything is removed again.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "whatever fails here, fails its test, and may say why")]

mod scenarios;
mod site;

use site::Site;

macro_rules! scenarios {
    ($($name:ident,)*) => {
        mod stand_in {
            $(#[test]
            fn $name() {
                crate::scenarios::$name(&crate::Site::stand_in());
            })*
        }

        mod real {
            $(#[test]
            #[ignore = "needs a cluster: KUBECONFIG names it"]
            fn $name() {
                crate::scenarios::$name(&crate::Site::real());
            })*
        }
    };
}

scenarios! {
    a_command_is_taken_whole_and_proven,
    a_command_without_a_shell_around_it_is_taken,
    a_command_that_fails_is_no_stream,
    a_command_that_is_killed_midway_is_no_stream,
    a_pod_that_goes_midway_is_no_stream,
    a_silent_command_is_ended,
    a_folder_is_taken,
    objects_are_taken,
    a_folder_comes_back,
    objects_come_back,
    a_drill_in_a_pod_tells_a_good_dump_from_a_bad_one,
    a_pod_is_found_by_its_labels,
    the_doctor_finds_everything_well,
    the_doctor_finds_a_missing_pod,
}
