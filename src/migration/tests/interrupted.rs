//! A migration that is killed after any of its writes, any number of times.

use proptest::{prelude::*, sample::select};

use super::*;

/// A migration as the command does it, which ends or is killed after any of its steps, any number of times.
#[derive(Clone, Debug)]
struct World {
    file: String,
    record: Option<Migration>,
    /// The pools that are in the cluster.
    made: Vec<String>,
    /// Whether the new pool was proven before the old one was touched.
    jobs_find_a_runner: bool,
    /// How many writes the run may still do.
    writes: usize,
}

impl World {
    /// What `up` does.
    fn up(&mut self) {
        let wanted = profile(&self.file);
        let is_held = |name: &str| {
            let id = Id::new("scale-set", Some("actions-runner"), name);
            self.record
                .as_ref()
                .is_some_and(|it| it.holds(&id, "website"))
        };
        let has = |name: &str| wanted.pools.iter().any(|it| it.name == name);
        let left: Vec<String> = self
            .made
            .iter()
            .filter(|it| has(it) || is_held(it))
            .cloned()
            .collect();
        self.made = left;
        for pool in &wanted.pools {
            if !self.made.contains(&pool.name) {
                self.made.push(pool.name.clone());
            }
        }
        let found = |name: &str| self.made.iter().any(|it| it == name);
        self.jobs_find_a_runner &= found("basic") || found("basic-ss");
    }

    /// Runs the command, for at most so many writes; whether it has ended.
    fn run(&mut self, mode: Option<Mode>, writes: usize) -> bool {
        let asked = Asked {
            mode,
            ..asked("basic")
        };
        let recorded: Vec<Migration> = self.record.clone().into_iter().collect();
        let Ok(found) = migration(&profile(&self.file), &recorded, &asked) else {
            return true;
        };
        let Some(mut at) = found else { return true };
        self.writes = writes;
        loop {
            match self.step(&mut at) {
                Some(Going::On) => {}
                Some(Going::Ended) => return true,
                None => return false,
            }
        }
    }

    /// One step; `None`: it was killed before a write.
    fn step(&mut self, at: &mut Migration) -> Option<Going> {
        if self.record.as_ref() != Some(at) {
            self.write()?;
            self.record = Some(at.clone());
        }
        let text = self.file.clone();
        let file = File {
            name: "arcctl.yaml",
            text: &text,
        };
        match at.next(&profile(&text)).unwrap() {
            Next::Add(name) => {
                let text = added(&file, at, &name);
                self.write()?;
                self.file = text;
                self.write()?;
                self.up();
            }
            Next::Prove => {
                self.write()?;
                self.up();
                at.stage = Stage::Removing;
            }
            Next::TakeOut(name) => {
                let text = file.without(&name).unwrap();
                self.write()?;
                self.file = text;
            }
            Next::Finish => {
                self.write()?;
                self.up();
                self.write()?;
                self.record = None;
                return Some(Going::Ended);
            }
        }
        Some(Going::On)
    }

    /// One of the writes that it may still do.
    fn write(&mut self) -> Option<()> {
        self.writes = self.writes.checked_sub(1)?;
        Some(())
    }
}

/// Whether a run has more to do.
enum Going {
    On,
    Ended,
}

/// The file with the pool `name`, beside the one that is there.
fn added(file: &File<'_>, at: &Migration, name: &str) -> String {
    if name == at.from.name {
        return file.with(&at.to, &at.from).unwrap();
    }
    let known = profile(file.text);
    let old = known.pool("actions-runner", "basic").unwrap();
    let wish = Wish { name, ..wish(true) };
    let pool = counterpart(old, &wish).unwrap().pool;
    file.with(&at.from.name, &pool).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever it is killed, and whichever way it goes then: it ends with one of the two pools, and jobs find a runner all the
    /// while, also where `up` runs in between with the profile from before.
    #[test]
    fn a_migration_that_is_killed_goes_on_or_back(
        kills in prop::collection::vec((0usize..8, any::<bool>(), any::<bool>()), 0..5),
        end in select(vec![Some(Mode::ScaleSet), None]),
    ) {
        let mut world = World {
            file: TEXT.to_owned(),
            record: None,
            made: vec!["basic".to_owned(), "other".to_owned()],
            jobs_find_a_runner: true,
            writes: 0,
        };
        for (writes, back, stale) in kills {
            let mode = (!back).then_some(Mode::ScaleSet);
            world.run(mode, writes);
            if stale && world.record.is_some() {
                let own = std::mem::replace(&mut world.file, TEXT.to_owned());
                world.up();
                world.file = own;
            }
        }
        prop_assert!(world.run(end, usize::MAX));
        prop_assert!(world.jobs_find_a_runner);
        prop_assert_eq!(&world.record, &None);
        let mut made = world.made.clone();
        made.sort();
        let is_there = profile(&world.file).pools.iter().any(|it| it.name == "basic-ss");
        let expected = if is_there { "basic-ss" } else { "basic" };
        prop_assert_eq!(made, [expected, "other"]);
    }
}
