//! What the targets share: reading choices from bytes, sowing first inputs, and an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Reads choices from the front of an input. At its end every choice is 0, so that all inputs mean something.
#[derive(Debug, Clone)]
pub struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// The next two bytes as a number.
    pub fn short(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// A number below `bound`, which is 256 at most.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// The next `count` bytes, or what is left.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// True if nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Makes long streams of short inputs: 255 begins a run (byte, length in two bytes), 254 noise (seed, length).
pub fn expand(input: &[u8], limit: usize) -> Vec<u8> {
    let (mut choices, mut out) = (Choices(input), Vec::new());
    while !choices.is_at_end() && out.len() < limit {
        match choices.byte() {
            255 => {
                let (byte, len) = (choices.byte(), choices.short());
                out.resize(out.len() + len, byte);
            }
            254 => {
                let (seed, len) = (choices.byte(), choices.short());
                out.extend(noise(u64::from(seed), len));
            }
            byte => out.push(byte),
        }
    }
    out.truncate(limit);
    out
}

/// Bytes that look random and depend on the seed only.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Writes first inputs into the corpus that libFuzzer was told to use, if it has none yet.
pub fn sow(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(corpus) = std::env::args().skip(1).find(|arg| !arg.starts_with('-') && Path::new(arg).is_dir()) else {
        return;
    };
    for (number, seed) in seeds.into_iter().enumerate() {
        let path = Path::new(&corpus).join(format!("seed-{number:03}"));
        if !path.exists() {
            std::fs::write(path, seed).expect("the corpus can be written");
        }
    }
}

/// The system's allocator, with a count of the bytes in use.
#[derive(Debug)]
pub struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(by: usize) {
    PEAK.fetch_max(IN_USE.fetch_add(by, Relaxed) + by, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        grow(new_size);
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// The most bytes that `run` has in use at once, above what was in use before. Needs `Counting` as the allocator.
pub fn peak_of(run: impl FnOnce()) -> usize {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    run();
    PEAK.load(Relaxed).saturating_sub(before)
}
