//! The memory that freed memory takes.
//!
//! glibc's allocator gives each thread one of up to eight arenas for each core, and what is freed in one is not used by
//! the others. A loop that starts threads for each run grows until all of them have been as full as one run ever makes
//! them: 32 MB where 19 MB do (docs/decisions/0012-one-arena.md). Large blocks, of which a pipeline consists, are mapped
//! one by one and wait for no arena.

/// Lets all threads share one arena. Call it before there is more than one thread.
#[allow(unsafe_code, reason = "one call of a C function without pointers, proven where it stands")]
pub fn share_one_arena() {
    // If it is refused, as by a sanitizer's allocator, memory is used as usual.
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt(3)` takes two integers and sets a parameter of the allocator under the allocator's own lock; any
    // value of any parameter is allowed, and what it does not know it refuses. It dereferences nothing of ours. Run under
    // AddressSanitizer by the fuzz target `lanes`.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}
