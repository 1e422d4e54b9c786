//! Which instructions the fast path uses: the only files of the JSON engine with `unsafe` in them.
//!
//! Two things are unsafe here, and nothing else. One is calling a function that is compiled for an instruction set:
//! that is done only through a [`JsonEngine`], which is made only after the processor has been asked. The other is
//! reading or writing vectors through pointers, always of arrays whose length is in their type. Nothing here decides
//! anything.

#![expect(unsafe_code, reason = "vector instructions: calls after detection, loads and stores within sized arrays")]

#[cfg(target_arch = "x86_64")]
/// Sets a word of each class, named with its bits.
macro_rules! set {
    ($classes:ident, $word:ident: $($class:ident = $bits:expr;)*) => { $($classes.$class[$word] = $bits;)* };
}

#[cfg(target_arch = "x86_64")]
/// The scan of a window and the skip of a container, compiled for an instruction set.
macro_rules! entries {
    ($features:literal, $lanes:ty) => {
        #[target_feature(enable = $features)]
        pub(super) fn scan(
            window: &[u8],
            entry: WindowEntry,
            names: Option<&Names>,
            scratch: &mut ScanScratch,
        ) -> Option<ScannedWindow> {
            bits::scan::<$lanes>(window, entry, names, scratch)
        }

        #[target_feature(enable = $features)]
        pub(super) fn skip(text: &[u8], skip: &mut ContainerSkip) -> (usize, SkipEnd) {
            skip::by_blocks::<$lanes>(text, skip)
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::pii::json::names::Names;

use super::{
    bits,
    portable::Portable,
    skip::{self, ContainerSkip, SkipEnd},
    window::{ScanScratch, ScannedWindow, WindowEntry},
};

/// How a [`JsonRewriter`](super::super::JsonRewriter) reads: byte by byte, or with this machine's vector instructions.
/// The output is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonEngine(EngineKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EngineKind {
    Bytes,
    #[cfg_attr(not(feature = "internals"), expect(dead_code, reason = "the reference of tests and benchmarks"))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl JsonEngine {
    /// The engine that reads every byte, on any machine.
    pub const BYTES: Self = Self(EngineKind::Bytes);

    /// The engines that this machine can run, the fastest last.
    #[cfg(feature = "internals")]
    pub fn available() -> Vec<Self> {
        let mut engines = vec![Self::BYTES, Self(EngineKind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx2() {
                engines.push(Self(EngineKind::Avx2));
            }
            if has_avx512() {
                engines.push(Self(EngineKind::Avx512));
            }
        }
        engines
    }

    /// The fastest engine of this machine. The portable scan is slower than reading every byte: it is there as the
    /// reference for the scans with vector instructions.
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        match (has_avx512(), has_avx2()) {
            (true, _) => return Self(EngineKind::Avx512),
            (false, true) => return Self(EngineKind::Avx2),
            (false, false) => {}
        }
        Self::BYTES
    }

    /// Scans a window; [`JsonEngine::BYTES`] scans none.
    pub(super) fn scan(
        self,
        window: &[u8],
        entry: WindowEntry,
        names: Option<&Names>,
        scratch: &mut ScanScratch,
    ) -> Option<ScannedWindow> {
        match self.0 {
            EngineKind::Bytes => None,
            EngineKind::Portable => bits::scan::<Portable>(window, entry, names, scratch),
            // SAFETY: this kind is made only after `has_avx2` has returned true.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx2 => unsafe { avx2::scan(window, entry, names, scratch) },
            // SAFETY: this kind is made only after `has_avx512` has returned true.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx512 => unsafe { avx512::scan(window, entry, names, scratch) },
        }
    }

    /// Reads on in a container that is dropped or replaced: how many bytes, and why no more.
    pub(in crate::pii::json) fn skip(self, text: &[u8], skip: &mut ContainerSkip) -> (usize, SkipEnd) {
        match self.0 {
            EngineKind::Bytes => skip::by_bytes(text, skip),
            EngineKind::Portable => skip::by_blocks::<Portable>(text, skip),
            // SAFETY: this kind is made only after `has_avx2` has returned true.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx2 => unsafe { avx2::skip(text, skip) },
            // SAFETY: this kind is made only after `has_avx512` has returned true.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx512 => unsafe { avx512::skip(text, skip) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
}
