//! An upgrade that is killed after any of its writes, any number of times, and whose proofs fail.

use proptest::prelude::*;

use super::*;

/// A cluster, a profile and an upgrade as the commands do it.
#[derive(Clone, Debug)]
struct World {
    /// The versions in the profile's file.
    file: Versions,
    /// What is in the cluster.
    made: Versions,
    record: Option<Upgrade>,
    /// Whether the backup is there.
    saved: bool,
    /// What must never happen.
    wrong: Vec<String>,
}

/// How many writes a run may do until it is killed, and at which of its steps a proof fails.
struct Fate {
    writes: usize,
    fails: Option<usize>,
}

impl Fate {
    /// `None`: the run is killed before this write.
    fn write(&mut self) -> Option<()> {
        self.writes = self.writes.checked_sub(1)?;
        Some(())
    }
}

impl World {
    fn new() -> Self {
        let from = charts("v1.12.0", "0.23.3");
        Self {
            file: from.clone(),
            made: from,
            record: None,
            saved: false,
            wrong: Vec::new(),
        }
    }

    /// An `up` with these versions.
    fn up(&mut self, versions: &Versions) {
        let minor = |it: &Versions| triple(&it.charts[&Component::CertManager]).1;
        if minor(versions) > minor(&self.made) + 1 {
            self.wrong.push("a minor version was left out".to_owned());
        }
        if !self.saved && *versions != self.made {
            self.wrong.push("no backup was there".to_owned());
        }
        self.made.clone_from(versions);
    }

    fn save(&mut self, upgrade: &Upgrade) {
        self.record = Some(upgrade.clone());
    }

    /// `arcctl upgrade`; `None` if it was killed.
    fn forth(&mut self, to: &Versions, fate: &mut Fate) -> Option<()> {
        let known = self.record.clone().filter(Upgrade::is_in_progress);
        let again = known.is_some();
        let mut upgrade = match known {
            Some(known) if known.stage == Stage::Back => return Some(()),
            Some(known) => known.continued(&self.made),
            None if self.made == *to => return Some(()),
            None => begun(&self.made, to, Stage::Saving),
        };
        if again && upgrade.stage == Stage::Forth {
            fate.write()?;
            self.up(&upgrade.now.clone());
        }
        loop {
            match upgrade.next().unwrap() {
                Next::Save => {
                    fate.write()?;
                    self.save(&upgrade);
                    fate.write()?;
                    self.saved = true;
                    upgrade.stage = Stage::Forth;
                    fate.write()?;
                    self.save(&upgrade);
                }
                Next::Step(step) => {
                    upgrade.now.clone_from(&step.after);
                    fate.write()?;
                    self.save(&upgrade);
                    fate.write()?;
                    self.up(&step.after);
                    if fate.fails.take_if(|it| *it == 0).is_some() {
                        return self.back(fate);
                    }
                    fate.fails = fate.fails.map(|it| it - 1);
                }
                Next::Finish => {
                    fate.write()?;
                    self.file.clone_from(to);
                    upgrade.stage = Stage::Done;
                    fate.write()?;
                    self.save(&upgrade);
                    return Some(());
                }
                Next::Restore | Next::Nothing => return Some(()),
            }
        }
    }

    /// `arcctl rollback`; `None` if it was killed.
    fn back(&mut self, fate: &mut Fate) -> Option<()> {
        let Some(mut upgrade) = self.record.clone() else {
            return Some(());
        };
        upgrade.stage = Stage::Back;
        fate.write()?;
        self.save(&upgrade);
        fate.write()?;
        self.up(&upgrade.from.clone());
        fate.write()?;
        self.file.clone_from(&upgrade.from);
        fate.write()?;
        self.saved = false;
        fate.write()?;
        self.record = None;
        Some(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Wherever it is killed, whichever proof fails, and whichever way it goes then: it ends with the versions from before or
    /// with the new ones, in the cluster and in the profile, and takes each minor version on the way.
    #[test]
    fn an_upgrade_that_is_killed_goes_on_or_back(
        runs in prop::collection::vec((0usize..30, any::<bool>(), prop::option::of(0usize..12)), 0..6),
        ends_back in any::<bool>(),
    ) {
        let (from, to) = (charts("v1.12.0", "0.23.3"), charts("v1.21.1", "0.23.7"));
        let mut world = World::new();
        for (writes, back, fails) in runs {
            let mut fate = Fate { writes, fails };
            let ended = if back { world.back(&mut fate) } else { world.forth(&to, &mut fate) };
            let in_progress = world.record.as_ref().is_some_and(Upgrade::is_in_progress);
            if ended.is_some() && !in_progress {
                prop_assert_eq!(&world.file, &world.made);
            }
        }
        let mut fate = Fate { writes: usize::MAX, fails: None };
        if ends_back {
            prop_assert!(world.back(&mut fate).is_some());
        } else {
            if world.record.as_ref().is_some_and(|it| it.stage == Stage::Back) {
                prop_assert!(world.back(&mut fate).is_some());
            }
            prop_assert!(world.forth(&to, &mut fate).is_some());
        }
        prop_assert_eq!(&world.wrong, &Vec::<String>::new());
        prop_assert_eq!(&world.file, &world.made);
        let expected = if ends_back { &from } else { &to };
        prop_assert_eq!(&world.made, expected);
        let is_kept = world.record.is_some();
        prop_assert_eq!(is_kept, !ends_back);
        prop_assert_eq!(world.saved, is_kept);
    }
}
