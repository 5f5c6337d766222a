//! Triggers as configurations of images hold them: one is an instruction that can be one, and resolves as one of a stage.
#![no_main]

use std::collections::BTreeMap;

use gantry::dockerfile::{Base, Dockerfile, Inherited, Instruction, Kind, Options, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let trigger = match Instruction::trigger(text) {
        Ok(trigger) => trigger,
        Err(problem) => {
            assert_eq!(problem.place, None, "a trigger stands in no file");
            return;
        }
    };
    assert!(trigger.trigger && !matches!(trigger.kind, Kind::From | Kind::Maintainer | Kind::Onbuild), "{trigger:?}");
    let triggers = BTreeMap::from([(Base::Image("a".to_owned()), vec![text.to_owned()])]);
    let file = Dockerfile::parse("FROM a").expect("a file");
    let Ok(plan) = file.plan(&Options { triggers, ..Options::default() }) else { return };
    let mut scope = Scope::new(&plan, 0, Inherited::default());
    let [planned] = plan.stages[0].instructions.as_slice() else { panic!("a trigger is not one instruction") };
    assert_eq!(planned.text, trigger.text);
    let _ = planned.resolve(&mut scope).map_err(|problem| assert_eq!(problem.place, Some(plan.stages[0].place)));
});
