//! From every world, by every part of a plan, the next `up` comes to the same.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::*;

/// A small project: every service may depend on those before it, and share things with the one before it; its network and its volume
/// may be of two kinds.
fn text() -> impl Strategy<Value = String> {
    let service = (0_u8..4, 0_u8..3, 0_u8..8, any::<[bool; 5]>());
    let services = proptest::collection::vec(service, 1..4);
    (services, any::<[bool; 3]>()).prop_map(|(services, [internal, labelled, renamed])| {
        let mut text = "services:\n".to_owned();
        for (index, (scale, user, shares, [depends, restarts, healthy, mounts, own])) in services.into_iter().enumerate() {
            // What others share something with has a container.
            let scale = if index < 2 { scale.max(1) } else { scale };
            text.push_str(&format!("  s{index}:\n    image: i{}\n    scale: {scale}\n    user: 'u{user}'\n", index % 2));
            if depends && index > 0 {
                let condition = if healthy { "service_healthy" } else { "service_started" };
                text.push_str(&format!("    depends_on: {{s{}: {{condition: {condition}, restart: {restarts}}}}}\n", index - 1));
            }
            if mounts {
                text.push_str("    volumes: ['vol:/v', /w]\n");
            }
            let shared = index.checked_sub(1).map(|before| format!("service:s{before}"));
            match (shares, shared) {
                (0, Some(other)) => text.push_str(&format!("    network_mode: {other}\n")),
                (1, Some(other)) => text.push_str(&format!("    pid: {other}\n    ipc: {other}\n")),
                (2, Some(_)) => text.push_str(&format!("    volumes_from: ['s{}:ro']\n", index - 1)),
                (3, Some(_)) => text.push_str(&format!("    links: ['s{}:other']\n", index - 1)),
                _ => {}
            }
            if own && shares != 0 {
                text.push_str("    networks: [net, default]\n");
            }
        }
        let name = if renamed { ", name: other" } else { "" };
        text + &format!("volumes: {{vol: {{labels: {{a: '{labelled}'}}}}}}\nnetworks: {{net: {{internal: {internal}{name}}}}}\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        // Beside this file: `converge.regressions`.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    /// Whatever was there, in whatever order a plan is carried out and wherever it is cut off: the next `up` completes it, the one after
    /// that has nothing to do, and the world is the one that a first `up` makes. `down` then leaves nothing.
    #[test]
    fn every_prefix_of_a_plan_converges(before in text(), after in text(), cut in 0_usize..40, seed in any::<u64>()) {
        let (old, new) = (project(&before), project(&after));
        let plan_for = |world: &World| {
            let observed = world.observed(&new);
            let renew_volumes = plan::changed_volumes(&new, &observed).into_iter().collect();
            let options = UpOptions { remove_orphans: true, renew_volumes, ..UpOptions::default() };
            plan::up(&new, &observed, &options).expect("a plan")
        };
        let mut random = seed;
        let mut choose = |among: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap_or(0) % among
        };
        let mut world = World::default();
        let first = plan::up(&old, &world.observed(&old), &UpOptions::default()).expect("a plan");
        world.run_some(&first, usize::MAX, &mut choose);
        world.run_some(&plan_for(&world.clone()), cut, &mut choose);
        world.run_some(&plan_for(&world.clone()), usize::MAX, &mut choose);
        let again = plan_for(&world);
        prop_assert!(again.is_empty(), "not at rest:\n{again}\n{}", world.text());
        world.check_whole();
        let down = DownOptions { volumes: true, remove_orphans: true, ..DownOptions::default() };
        world.run_some(&plan::down(&new.name, Some(&new), &world.observed(&new), &down).expect("a plan"), usize::MAX, &mut choose);
        prop_assert_eq!(world.text(), "");
    }
}
