//! A migration that is killed after any of its writes, or whose pools are not proven, any number of times.

use proptest::{prelude::*, sample::select};

use super::*;

/// A migration as the command does it, which ends or is killed after any of its steps, any number of times.
#[derive(Clone, Debug)]
struct World {
    file: String,
    record: Option<Migration>,
    /// The pools that are in the cluster.
    made: Vec<String>,
    /// Those of them that a run has proven since they were made.
    proven: Vec<String>,
    /// Whether one of the two pools was proven all the while.
    jobs_find_a_runner: bool,
    /// How many writes the run may still do.
    writes: usize,
    /// Whether a pool that is made now is not proven: its image is absent, or GitHub refuses it.
    fails: bool,
}

impl World {
    /// What `up` does; `None` where a pool is not proven. What leaves goes in either case: nothing orders one after the other.
    fn up(&mut self) -> Option<()> {
        let wanted = profile(&self.file);
        let is_held = |name: &str| {
            let id = Id::new("scale-set", Some("actions-runner"), name);
            self.record
                .as_ref()
                .is_some_and(|it| it.holds(&id, "website"))
        };
        let has = |name: &str| wanted.pools.iter().any(|it| it.name == name);
        let stays = |it: &&String| has(it) || is_held(it);
        let made: Vec<String> = self.made.iter().filter(stays).cloned().collect();
        let proven: Vec<String> = self.proven.iter().filter(stays).cloned().collect();
        (self.made, self.proven) = (made, proven);
        for pool in wanted.pools.iter().map(|it| &it.name) {
            if !self.made.contains(pool) {
                self.made.push(pool.clone());
            }
            if !self.fails && !self.proven.contains(pool) {
                self.proven.push(pool.clone());
            }
        }
        let is_proven = |name: &str| self.proven.iter().any(|it| it == name);
        self.jobs_find_a_runner &= is_proven("basic") || is_proven("basic-ss");
        let all = wanted.pools.iter().all(|it| is_proven(&it.name));
        all.then_some(())
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

    /// One step; `None`: it was killed before a write, or a pool was not proven.
    fn step(&mut self, at: &mut Migration) -> Option<Going> {
        let text = self.file.clone();
        let next = at.next(&profile(&text)).unwrap();
        if matches!(next, Next::Add(_)) {
            at.unproven();
        }
        if self.record.as_ref() != Some(at) {
            self.write()?;
            self.record = Some(at.clone());
        }
        let file = File {
            name: "arcctl.yaml",
            text: &text,
        };
        match next {
            Next::Add(name) => {
                let text = added(&file, at, &name);
                self.write()?;
                self.file = text;
            }
            Next::Prove => {
                self.write()?;
                self.up()?;
                at.stage = Stage::Removing;
            }
            Next::Restore => {
                self.write()?;
                self.up()?;
                at.stage = Stage::Back;
            }
            Next::TakeOut(name) => {
                let text = file.without(&name).unwrap();
                self.write()?;
                self.file = text;
            }
            Next::Finish => {
                self.write()?;
                self.up()?;
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

    /// Wherever it is killed, whatever is not proven, and whichever way it goes then: it ends with one of the two pools, and one
    /// of them is proven all the while, also where `up` runs in between with the profile from before.
    #[test]
    fn a_migration_that_is_killed_goes_on_or_back(
        kills in prop::collection::vec((0usize..10, any::<bool>(), any::<bool>(), any::<bool>()), 0..6),
        end in select(vec![Some(Mode::ScaleSet), None]),
    ) {
        let installed = vec!["basic".to_owned(), "other".to_owned()];
        let mut world = World {
            file: TEXT.to_owned(),
            record: None,
            made: installed.clone(),
            proven: installed,
            jobs_find_a_runner: true,
            writes: 0,
            fails: false,
        };
        for (writes, back, stale, fails) in kills {
            world.fails = fails;
            let mode = (!back).then_some(Mode::ScaleSet);
            world.run(mode, writes);
            if stale && world.record.is_some() {
                let own = std::mem::replace(&mut world.file, TEXT.to_owned());
                world.up();
                world.file = own;
            }
        }
        world.fails = false;
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

/// The question before the old pool is put back says that the new one goes; with both in the profile nothing was asked yet.
#[test]
fn the_way_back_is_asked_for_once() {
    let both = profile(&with(TEXT));
    let alone = File {
        name: "arcctl.yaml",
        text: &with(TEXT),
    };
    let alone = profile(&alone.without("basic").unwrap());
    let back = Migration {
        stage: Stage::Restoring,
        ..begun(&profile(TEXT))
    };
    for (profile, first, asks) in [
        (&both, Next::TakeOut("basic-ss".into()), true),
        (&alone, Next::Add("basic".into()), false),
    ] {
        assert_eq!(back.next(profile).unwrap(), first);
        assert_eq!(back.asks_to_go_back(&first), asks);
    }
    // The removal of the old pool has its own question.
    let forth = Migration {
        stage: Stage::Removing,
        ..back
    };
    assert!(!forth.asks_to_go_back(&Next::TakeOut("basic".into())));
}
