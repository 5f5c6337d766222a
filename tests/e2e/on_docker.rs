//! The same scenarios on a Docker Engine in the place of ours: those that need nothing of our own pass unchanged, and what needs more says
//! so in a line.
//!
//! This program runs itself, with a variable that gives each bottle a Docker Engine ([`crate::bottle::ON_DOCKER`]).

use crate::bottle::{Bottle, ON_DOCKER};
use crate::docker::Docker;
use crate::program::{self, bounded_by};

/// Scenarios that pass on a Docker Engine. Those of no list look into our engine's own files and processes, or start it themselves.
const SCENARIOS: &[&str] = &[
    "attribute::an_edited_attribute_is_named_and_recreates",
    "attribute::devices_parameters_and_rights_are_what_was_asked_for",
    "attribute::limits_are_in_force",
    "attribute::out_of_memory_is_named_as_such",
    "attribute::what_nobody_acts_on_is_told_once_with_its_line",
    "attribute::what_only_version_1_of_control_groups_can_do_is_done_there_and_refused_elsewhere",
    "bad_input::a_command_that_is_not_in_the_image_is_named",
    "bad_input::a_job_that_fails_is_named_with_what_it_said",
    "bad_input::a_missing_bind_source_is_named",
    "bad_input::a_missing_image_and_an_unreachable_registry_are_named",
    "bad_input::a_server_that_ends_instead_of_becoming_healthy_is_blamed_itself",
    "bad_input::what_is_wrong_in_the_file_is_said_all_at_once_with_its_place",
    "bad_input::who_waits_for_the_health_of_one_without_a_check_is_told_what_to_write",
    "build::only_what_read_a_change_is_built_again",
    "build::others_read_what_was_built",
    "build::up_builds_what_is_missing_and_what_it_is_asked_to",
    "command::a_dependant_restarts_with_what_it_waits_for_if_it_says_so",
    "command::attach_joins_what_runs_already",
    "command::create_makes_everything_and_starts_nothing",
    "command::kill_tells_everything_that_runs_and_orphans_only_when_asked",
    "command::pause_freezes_and_unpause_lets_go_on",
    "command::rm_removes_what_has_ended_after_it_asked",
    "command::scale_makes_and_removes_containers_of_the_named_services",
    "command::start_can_wait_and_says_what_was_not_well_in_time",
    "command::stop_start_and_restart_keep_the_containers",
    "command::wait_tells_each_end_and_has_the_last_ones_code",
    "copy::a_whole_root_goes_out_without_what_is_mounted",
    "copy::no_link_leads_a_copy_out_of_its_container",
    "copy::one_offs_are_copied_to_and_from_where_all_are_meant",
    "copy::paths_land_by_dockers_rules_and_ours_are_its_own",
    "down::down_removes_containers_and_networks_and_volumes_only_when_asked",
    "down::down_works_from_labels_when_the_file_is_gone",
    "down::orphans_stay_unless_asked",
    "down::the_stop_signal_is_sent_and_the_grace_period_kept",
    "down::who_waits_for_signals_is_never_taken_for_deaf",
    "exec::a_command_that_ran_out_of_memory_is_told_from_one_that_was_killed",
    "exec::a_terminal_has_the_size_of_the_callers",
    "exec::bytes_pass_unchanged_in_both_directions",
    "exec::streams_and_codes_come_back",
    "flags::an_interrupt_stops_what_was_named_and_leaves_what_it_depends_on",
    "flags::images_built_for_a_project_go_with_it",
    "flags::images_come_and_go_as_the_flags_say",
    "flags::no_start_makes_everything_and_starts_nothing",
    "flags::orphans_of_up_go_when_the_environment_says_so",
    "flags::privileges_open_input_and_replicas_come_from_the_file",
    "flags::the_first_end_or_the_first_failure_ends_all",
    "flags::what_is_made_anew_is_what_the_flags_say",
    "flags::what_is_shown_is_what_the_flags_say",
    "health::a_check_that_never_succeeds_fails_up_and_shows_its_last_output",
    "health::a_failing_check_turns_a_healthy_container_unhealthy_and_back",
    "health::an_early_success_does_not_count_while_the_declared_port_only_listens_on_loopback",
    "hook::a_command_that_fails_is_told_with_its_place_and_its_last_lines",
    "hook::a_container_that_fails_before_a_start_stays_until_the_next_run",
    "hook::a_run_that_was_killed_amid_a_hook_is_gone_on_with",
    "hook::commands_run_after_each_start_and_before_each_stop_and_not_beside_a_kill",
    "hook::containers_run_once_before_a_service_starts_with_its_volumes_and_networks",
    "hook::what_hooks_write_is_shown_while_somebody_looks",
    "image::only_what_nothing_uses_is_pruned",
    "log::a_follower_goes_on_with_the_successor_of_a_container",
    "log::a_follower_sees_what_comes_and_ends_with_the_container",
    "log::a_time_parts_what_was_written_before_it_from_what_came_after",
    "log::every_line_is_kept_in_order_and_tails_count_from_the_end",
    "log::output_goes_where_logging_says_and_up_shows_what_attach_says",
    "log::the_file_is_in_dockers_form",
    "log::the_log_of_a_service_that_writes_at_full_speed_has_an_end",
    "log::who_keeps_no_log_does_not_hide_those_of_the_others",
    "look::figures_are_told_of_what_runs",
    "look::the_docker_command_line_looks_through_our_socket",
    "look::what_happened_and_happens_is_told",
    "network::networks_are_isolated_from_each_other",
    "network::services_find_each_other_by_every_name",
    "network::who_is_not_root_listens_on_a_low_port_and_starts_with_every_signal_at_its_default",
    "port::a_ports_address_is_printed_by_replica_and_protocol",
    "port::a_published_port_answers_on_every_address_and_is_free_after_down",
    "port::containers_reach_each_other_through_the_hosts_port",
    "reconcile::a_dependant_restarts_with_what_it_depends_on_if_it_says_so",
    "reconcile::anonymous_volumes_pass_on_and_on_until_they_are_renewed",
    "reconcile::scaling_down_drops_what_is_out_of_date_and_keeps_low_numbers",
    "reconcile::who_shares_something_follows_its_owner",
    "run::a_detached_one_off_goes_on_and_goes_by_itself_with_rm",
    "run::a_one_off_runs_beside_its_service_and_has_its_code",
    "run::a_volume_of_the_project_is_the_projects_even_if_only_a_flag_mounts_it",
    "run::codes_tell_what_became_of_it",
    "run::dependencies_are_waited_for_unless_they_are_left_out",
    "run::flags_reach_the_container_and_without_them_it_is_the_files",
    "run::images_are_pulled_as_the_flags_say",
    "run::names_of_the_service_are_answered_to_only_when_asked",
    "run::orphans_are_told_of_and_removed_when_asked",
    "run::ports_are_published_only_when_asked",
    "run::quiet_tells_nothing_and_a_dry_run_does_nothing",
    "run::signals_go_to_the_command",
    "run::want_of_memory_is_named",
    "run::what_is_typed_arrives_and_a_terminal_needs_one",
    "secret::what_is_missing_is_named_with_its_place",
    "terminal::a_full_screen_programs_bytes_arrive_unchanged",
    "terminal::a_large_paste_arrives_whole",
    "terminal::a_run_has_the_size_of_the_terminal_it_begins_on",
    "terminal::a_terminal_is_as_it_was_when_a_command_has_ended",
    "terminal::a_window_that_changes_its_size_is_heard_of_inside",
    "terminal::an_attached_up_has_a_colour_for_each_container_and_shows_what_goes_on",
    "terminal::control_c_in_a_terminal_of_its_own_is_the_programs",
    "terminal::control_c_twice_does_not_wait_for_who_does_not_listen",
    "terminal::ten_megabytes_pass_through_pipes_both_ways",
    "terminal::the_keys_lead_away_and_what_runs_goes_on",
    "up::a_second_up_changes_nothing_and_an_edit_recreates_only_what_it_touches",
    "up::attached_up_shows_lines_with_prefixes_and_ends_with_its_services",
    "up::control_c_stops_an_attached_up_with_130",
    "up::scale_and_orphans",
    "up::services_start_in_order_and_wait_for_their_gates",
    "up::wait_fails_when_a_service_dies_and_returns_when_all_are_well",
    "volume::anonymous_volumes_pass_to_the_successor_and_go_with_down_v",
    "volume::binds_show_the_hosts_files_and_read_only_ones_cannot_be_written",
    "volume::named_volumes_are_filled_from_the_image_once_and_survive",
];

/// Commands that need more than Docker's API, and what they say on a Docker Engine.
const NEEDING: &[(&str, &str)] = &[
    ("engine stop", "is not one of Gantry's, and is stopped by whoever started it"),
    ("engine logs", "is not one of Gantry's, and keeps its log where whoever started it says"),
    ("image cache ls", "is not one of Gantry's, and does not tell what it keeps in Gantry's terms"),
    ("image build -t c .", "`RUN --mount` in line 2 cannot be built by the classic builder of the engine at"),
    ("up -d", "writes no `configs` and `secrets` of this kind into a container that is `read_only`"),
];

/// Runs the scenarios of a file.
#[track_caller]
fn pass(topic: &str) {
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|name| name.split_once("::").is_some_and(|(file, _)| file == topic)).collect();
    assert!(!scenarios.is_empty(), "none of {topic}");
    let own = std::env::current_exe().expect("this program");
    let outcome = program::run(bounded_by(1200, own).env(ON_DOCKER, "1").args(["--test-threads=1", "--exact"]).args(&scenarios));
    let counted = format!("{} passed", scenarios.len());
    assert!(outcome.code == 0 && outcome.stdout.contains(&counted), "{}\n{}", outcome.stdout, outcome.stderr);
}

macro_rules! topics {
    ($($topic:ident),*) => { $(#[test] fn $topic() { pass(stringify!($topic)); })* };
}

topics!(
    attribute, bad_input, build, command, copy, down, exec, flags, health, hook, image, log, look, network, port, reconcile, run, secret,
    terminal, up, volume
);

#[test]
fn what_needs_more_than_dockers_api_says_so_in_a_line() {
    let bottle = Bottle::new();
    let docker = Docker::start(&bottle);
    docker.import();
    bottle.write("Dockerfile", "FROM IMAGE\nRUN --mount=type=cache,target=/c true\n");
    bottle.compose("services:\n  a: {image: IMAGE, command: ['true'], read_only: true, secrets: [s]}\nsecrets: {s: {environment: HOME}}\n");
    for (line, expect) in NEEDING {
        let told = bottle.shell(&format!("$GANTRY -H {} {line}", docker.host())).failure(1);
        let said = told.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(said.contains(&docker.host()) && said.contains(expect), "{line}: {told}");
    }
}
