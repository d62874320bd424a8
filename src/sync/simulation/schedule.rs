//! Who goes on, by chance.

/// Threads that can go on; there is at least one.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// Those that wait for nothing: whoever passes the turn first, if it can go on, then in the order of their numbers.
    pub ready: Vec<usize>,
    /// The one whose pause ends first. It may be chosen though others are ready: they were slow then.
    pub sleeping: Option<usize>,
    /// Who passes the turn.
    pub from: usize,
}

/// Decides who goes on.
pub trait Schedule: Send {
    /// One of the candidates; fails if what it repeats went otherwise.
    fn choose(&mut self, candidates: &Candidates) -> Result<usize, String>;
}

/// Numbers that look random and are the same for equal seeds.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The numbers that belong to this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// How a random schedule chooses.
#[derive(Debug)]
enum Habit {
    /// Anybody who is ready.
    Even,
    /// Whoever runs goes on, but for once in so many steps.
    Long(u64),
    /// One after the other, but once in so many steps whoever runs is held up: for longer than any pause of the others.
    /// Finds what needs few threads that are slow at the right places (Burckhardt et al., "A randomized scheduler with
    /// probabilistic guarantees of finding bugs").
    Delays { once_in: u64, delayed: Delayed },
}

/// A schedule by chance. Equal seeds give equal schedules.
#[derive(Debug)]
pub struct RandomSchedule {
    dice: Dice,
    habit: Habit,
    /// A pause ends before others are done once in so many steps; never, if nothing is said.
    hurry: Option<u64>,
}

impl RandomSchedule {
    /// The schedule of this seed.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let habit = match dice.below(3) {
            0 => Habit::Even,
            1 => Habit::Long(4 << dice.below(5)),
            _ => Habit::Delays { once_in: 8 << dice.below(6), delayed: Delayed::default() },
        };
        let hurry = [None, Some(4), Some(32), Some(256)][dice.below(4) as usize];
        Self { dice, habit, hurry }
    }
}

impl Schedule for RandomSchedule {
    fn choose(&mut self, candidates: &Candidates) -> Result<usize, String> {
        let Self { dice, habit, hurry } = self;
        if let Habit::Delays { once_in, delayed } = habit {
            let ranked = delayed.rank(candidates);
            let delays = usize::from(ranked.len() > 1 && dice.once_in(*once_in));
            return Ok(delayed.delay(&ranked, delays));
        }
        let ready = &candidates.ready;
        if let Some(sleeping) = candidates.sleeping
            && (ready.is_empty() || hurry.is_some_and(|times| dice.once_in(times)))
        {
            return Ok(sleeping);
        }
        let goes_on = matches!(habit, Habit::Long(times) if ready[0] == candidates.from && !dice.once_in(*times));
        let at = if goes_on { 0 } else { dice.below(ready.len() as u64) };
        Ok(ready[at as usize])
    }
}

/// Threads that are held up until nobody else can go on, or for a very long time.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    /// Each with the number of choices since.
    threads: Vec<(usize, u64)>,
}

/// Choices after which a thread that is held up gets on all the same: others may be waiting for it in a loop.
const PATIENCE: u64 = 2000;

impl Delayed {
    /// The candidates in the order in which they are chosen: who pauses after those who are ready, and after them those
    /// who are held up.
    pub(super) fn rank(&mut self, candidates: &Candidates) -> Vec<usize> {
        self.threads.iter_mut().for_each(|(_, since)| *since += 1);
        self.threads.retain(|(_, since)| *since < PATIENCE);
        let mut ranked: Vec<usize> = candidates.ready.iter().copied().chain(candidates.sleeping).collect();
        ranked.sort_by_key(|thread| {
            self.threads.iter().position(|(delayed, _)| delayed == thread).map_or(0, |at| at + 1)
        });
        ranked
    }

    /// Holds up so many of the candidates, and says who goes on.
    pub(super) fn delay(&mut self, ranked: &[usize], delays: usize) -> usize {
        for delayed in &ranked[..delays] {
            self.threads.retain(|(thread, _)| thread != delayed);
            self.threads.push((*delayed, 0));
        }
        ranked[delays]
    }
}
