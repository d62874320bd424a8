//! The memory that freed memory takes.
//!
//! glibc's allocator gives each thread one of up to eight arenas for each core, and what is freed in one is not used by
//! the others; and it keeps more of what is freed the larger the blocks are. A loop that starts threads for each run
//! grows for hundreds of runs. Here all threads share one arena, and who waits gives back what is free
//! (docs/decisions/0012-one-arena.md). Other C libraries have neither arenas nor these functions.

/// Blocks of this length and longer go back to the system as soon as they are free, in bytes: whole packs. Otherwise
/// each that is freed raises this bound up to 32 MiB, and packs of many lengths leave holes that none of them fits.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 4 << 20;

/// Lets all threads share one arena, and large blocks go back at once. Call it before there is more than one thread.
#[allow(unsafe_code, reason = "calls of a C function without pointers, proven where they stand")]
pub fn keep_small() {
    // If it is refused, as by a sanitizer's allocator, memory is used as usual.
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE)] {
        // SAFETY: `mallopt(3)` takes two integers and sets a parameter of the allocator under the allocator's own lock;
        // any value of any parameter is allowed, and what it does not know it refuses. It dereferences nothing of ours.
        // Run under AddressSanitizer by the fuzz target `lanes`.
        let _ = unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives free memory back to the system: for a program that has done something and waits now.
#[allow(unsafe_code, reason = "one call of a C function without pointers, proven where it stands")]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim(3)` takes a number of bytes to keep at the top of the heap, any number, and may be called by
    // any thread at any time (MT-Safe in its manual page). It touches only blocks that are free. Run under
    // AddressSanitizer by the fuzz target `lanes`.
    let _ = unsafe { libc::malloc_trim(0) };
}
