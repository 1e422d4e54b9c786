//! Which instructions the fast engine uses: the one file with `unsafe` in it.
//!
//! Two things are unsafe here, and nothing else: calling a function that is compiled for an instruction set, which
//! is done only through an [`Engine`], and an `Engine` for a set exists only once the processor has been asked; and
//! reading or writing vectors through pointers, always of arrays whose length the type says. Nothing here judges
//! what it reads.

#![expect(unsafe_code, reason = "vector instructions: calls after detection, loads and stores within sized arrays")]

use super::{
    names::Names,
    window::{Entry, Scanned, Scratch},
};

/// How a [`super::JsonRewriter`] reads: byte by byte, or with this machine's vector instructions. All put out the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bytes,
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Engine {
    /// The plain engine, on any machine.
    pub const BYTES: Self = Self(Kind::Bytes);

    /// The engines that this machine can run, the fastest last.
    pub fn available() -> Vec<Self> {
        let mut engines = vec![Self::BYTES, Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx2() {
                engines.push(Self(Kind::Avx2));
            }
            if x86::has_avx512() {
                engines.push(Self(Kind::Avx512));
            }
        }
        engines
    }

    /// The fastest of them. Bits made eight bytes at a time are slower than the plain engine: they are the reference
    /// for the bits that vectors make.
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        match (x86::has_avx512(), x86::has_avx2()) {
            (true, _) => return Self(Kind::Avx512),
            (false, true) => return Self(Kind::Avx2),
            (false, false) => {}
        }
        Self::BYTES
    }

    /// Scans a window; never, with [`Engine::BYTES`].
    pub(super) fn scan(
        self,
        window: &[u8],
        entry: Entry,
        names: Option<&Names>,
        scratch: &mut Scratch,
    ) -> Option<Scanned> {
        match self.0 {
            Kind::Bytes => None,
            Kind::Portable => super::bits::scan::<super::portable::Portable>(window, entry, names, scratch),
            // SAFETY: this kind is made only where `has_avx2` said yes.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::scan_avx2(window, entry, names, scratch) },
            // SAFETY: this kind is made only where `has_avx512` said yes.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::scan_avx512(window, entry, names, scratch) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{
        super::bits::{Classes, Lanes, Row, scan},
        super::names::Endings,
        super::portable::{Eight, flatten_by_count},
        super::window::Places,
        Entry, Names, Scanned, Scratch,
    };

    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq")
    }

    pub(super) fn has_avx512() -> bool {
        has_avx2()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
    pub(super) fn scan_avx2(
        window: &[u8],
        entry: Entry,
        names: Option<&Names>,
        scratch: &mut Scratch,
    ) -> Option<Scanned> {
        scan::<Avx2>(window, entry, names, scratch)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")]
    pub(super) fn scan_avx512(
        window: &[u8],
        entry: Entry,
        names: Option<&Names>,
        scratch: &mut Scratch,
    ) -> Option<Scanned> {
        scan::<Avx512>(window, entry, names, scratch)
    }

    struct Avx2;
    struct Avx512;

    /// Sets a word of each class, named with its bits.
    macro_rules! set {
        ($classes:ident, $word:ident: $($class:ident = $bits:expr;)*) => { $($classes.$class[$word] = $bits;)* };
    }

    impl Lanes for Avx2 {
        type Row = Eight;

        #[inline(always)]
        fn classify(block: &[u8; 64], word: usize, classes: &mut Classes) {
            // SAFETY: two unaligned loads of 32 bytes of an array of 64; only `scan_avx2` gets here.
            unsafe {
                let at = block.as_ptr().cast::<__m256i>();
                let lanes = [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))];
                let bit = _mm256_set1_epi8(0x20);
                let folded = [_mm256_or_si256(lanes[0], bit), _mm256_or_si256(lanes[1], bit)];
                macro_rules! join {
                    ($lanes:expr, $lane:ident => $made:expr) => {{
                        let low = {
                            let $lane = $lanes[0];
                            _mm256_movemask_epi8($made)
                        } as u32;
                        let high = {
                            let $lane = $lanes[1];
                            _mm256_movemask_epi8($made)
                        } as u32;
                        u64::from(high) << 32 | u64::from(low)
                    }};
                }
                macro_rules! equal {
                    ($byte:expr) => { join!(lanes, lane => _mm256_cmpeq_epi8(lane, _mm256_set1_epi8($byte as i8))) };
                }
                macro_rules! equal_folded {
                    ($byte:expr) => { join!(folded, lane => _mm256_cmpeq_epi8(lane, _mm256_set1_epi8($byte as i8))) };
                }
                macro_rules! up_to {
                    ($lane:expr, $most:expr) => {{
                        let lane = $lane;
                        _mm256_cmpeq_epi8(_mm256_min_epu8(lane, _mm256_set1_epi8($most)), lane)
                    }};
                }
                // For each low half of a byte the one space that has it, or a byte that nothing looked up can equal.
                let spaces = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                    0x20, -1, -1, -1, -1, -1, -1, -1, -1, 0x09, 0x0A, -1, -1, 0x0D, -1, -1,
                ));
                set! { classes, word:
                    quote = equal!(b'"');
                    slash = equal!(b'\\');
                    open = equal_folded!(b'{');
                    close = equal_folded!(b'}');
                    comma = equal!(b',');
                    colon = equal!(b':');
                    space = join!(lanes, lane => _mm256_cmpeq_epi8(_mm256_shuffle_epi8(spaces, lane), lane));
                    control = join!(lanes, lane => up_to!(lane, 0x1F));
                    digit = join!(lanes, lane => up_to!(_mm256_sub_epi8(lane, _mm256_set1_epi8(0x30)), 9));
                    zero = equal!(b'0');
                    point = equal!(b'.');
                    minus = equal!(b'-');
                }
            }
        }

        #[inline(always)]
        fn endings(blocks: [&[u8; 64]; 3], of: &Endings) -> u64 {
            // SAFETY: unaligned loads of 32 bytes within arrays of 64, and of 16 bytes of arrays of 16; only
            // `scan_avx2` gets here.
            unsafe {
                let half = _mm256_set1_epi8(15);
                let mut bits = 0;
                for at in [0, 32] {
                    let (mut found, mut foreign) = (_mm256_set1_epi8(-1), _mm256_setzero_si256());
                    for (block, halves) in blocks.iter().zip(&of.bytes) {
                        let table =
                            |halves: &[u8; 16]| _mm256_broadcastsi128_si256(_mm_loadu_si128(halves.as_ptr().cast()));
                        let bytes = _mm256_loadu_si256(block.as_ptr().add(at).cast());
                        let low = _mm256_shuffle_epi8(table(&halves.low), _mm256_and_si256(bytes, half));
                        let high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
                        let high = _mm256_shuffle_epi8(table(&halves.high), high);
                        found = _mm256_and_si256(found, _mm256_and_si256(low, high));
                        foreign = _mm256_or_si256(foreign, bytes);
                    }
                    let none = _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, _mm256_setzero_si256()));
                    bits |= u64::from((!none | _mm256_movemask_epi8(foreign)) as u32) << at;
                }
                bits
            }
        }

        #[inline(always)]
        fn parity(bits: u64) -> u64 {
            // SAFETY: no memory is touched; only `scan_avx2` and `scan_avx512` get here.
            unsafe {
                _mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1), 0)) as u64
            }
        }

        #[inline(always)]
        fn flatten(bits: u64, base: u16, out: &mut Places, used: usize) -> usize {
            flatten_by_count(bits, base, out, used)
        }
    }

    impl Lanes for Avx512 {
        type Row = Wide;

        #[inline(always)]
        fn classify(block: &[u8; 64], word: usize, classes: &mut Classes) {
            // SAFETY: an unaligned load of 64 bytes of an array of 64; only `scan_avx512` gets here.
            unsafe {
                let lane = _mm512_loadu_si512(block.as_ptr().cast());
                let folded = _mm512_or_si512(lane, _mm512_set1_epi8(0x20));
                macro_rules! equal {
                    ($byte:expr) => {
                        _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8($byte as i8))
                    };
                }
                let spaces = _mm512_broadcast_i32x4(_mm_setr_epi8(
                    0x20, -1, -1, -1, -1, -1, -1, -1, -1, 0x09, 0x0A, -1, -1, 0x0D, -1, -1,
                ));
                let digits = _mm512_sub_epi8(lane, _mm512_set1_epi8(0x30));
                set! { classes, word:
                    quote = equal!(b'"');
                    slash = equal!(b'\\');
                    open = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(b'{' as i8));
                    close = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(b'}' as i8));
                    comma = equal!(b',');
                    colon = equal!(b':');
                    space = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(spaces, lane), lane);
                    control = _mm512_cmplt_epu8_mask(lane, _mm512_set1_epi8(0x20));
                    digit = _mm512_cmplt_epu8_mask(digits, _mm512_set1_epi8(10));
                    zero = equal!(b'0');
                    point = equal!(b'.');
                    minus = equal!(b'-');
                }
            }
        }

        #[inline(always)]
        fn endings(blocks: [&[u8; 64]; 3], of: &Endings) -> u64 {
            // SAFETY: unaligned loads of 64 bytes of arrays of 64; only `scan_avx512` gets here.
            unsafe {
                let load = |bytes: &[u8; 64]| _mm512_loadu_si512(bytes.as_ptr().cast());
                let (mut found, mut foreign) = (_mm512_set1_epi8(-1), _mm512_setzero_si512());
                for (block, halves) in blocks.iter().zip(&of.bytes) {
                    let bytes = load(block);
                    found = _mm512_and_si512(found, _mm512_permutexvar_epi8(bytes, load(&halves.six)));
                    foreign = _mm512_or_si512(foreign, bytes);
                }
                _mm512_test_epi8_mask(found, found) | _mm512_movepi8_mask(foreign)
            }
        }

        #[inline(always)]
        fn parity(bits: u64) -> u64 {
            Avx2::parity(bits)
        }

        #[inline(always)]
        fn flatten(bits: u64, base: u16, out: &mut Places, used: usize) -> usize {
            let count = bits.count_ones() as usize;
            let Some(room) = out.get_mut(used..).and_then(<[u16]>::first_chunk_mut::<64>) else { return used };
            // SAFETY: two stores of 32 entries each to an array of 64; only `scan_avx512` gets here.
            unsafe {
                let places = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(PLACES.as_ptr().cast()));
                let base = _mm512_set1_epi16(base as i16);
                let to = room.as_mut_ptr().cast::<__m512i>();
                _mm512_storeu_si512(to, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(places)), base));
                if count > 32 {
                    let high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(places, 1));
                    _mm512_storeu_si512(to.add(1), _mm512_add_epi16(high, base));
                }
            }
            used + count
        }
    }

    /// Eight words in one register.
    #[derive(Clone, Copy)]
    pub(super) struct Wide(__m512i);

    macro_rules! operators {
        ($row:ty, $a:ident, $b:ident: $($operator:ident $name:ident $made:expr;)*) => {
            $(impl std::ops::$operator for $row {
                type Output = Self;

                #[inline(always)]
                fn $name(self, other: Self) -> Self {
                    let ($a, $b) = (self.0, other.0);
                    $made
                }
            })*
        };
    }

    // SAFETY: no memory is touched; only `scan_avx512` makes a `Wide`.
    operators! { Wide, a, b:
        BitAnd bitand Self(unsafe { _mm512_and_si512(a, b) });
        BitOr bitor Self(unsafe { _mm512_or_si512(a, b) });
    }

    impl std::ops::Not for Wide {
        type Output = Self;

        #[inline(always)]
        fn not(self) -> Self {
            // SAFETY: no memory is touched; only `scan_avx512` makes a `Wide`.
            unsafe { Self(_mm512_ternarylogic_epi64(self.0, self.0, self.0, 0x55)) }
        }
    }

    impl Row for Wide {
        #[inline(always)]
        fn load(words: &[u64; 8]) -> Self {
            // SAFETY: an unaligned load of 64 bytes of eight words; only `scan_avx512` gets here.
            unsafe { Self(_mm512_loadu_si512(words.as_ptr().cast())) }
        }

        #[inline(always)]
        fn store(self, words: &mut [u64; 8]) {
            // SAFETY: an unaligned store of 64 bytes to eight words; only `scan_avx512` gets here.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) }
        }

        #[inline(always)]
        fn any(self) -> bool {
            // SAFETY: no memory is touched; only `scan_avx512` gets here.
            unsafe { _mm512_test_epi64_mask(self.0, self.0) != 0 }
        }

        #[inline(always)]
        fn on<const BY: u32>(self, before: &mut Self) -> Self {
            // SAFETY: no memory is touched; only `scan_avx512` gets here.
            unsafe {
                let previous = _mm512_alignr_epi64(self.0, before.0, 7);
                *before = self;
                let over = if BY == 1 { _mm512_srli_epi64(previous, 63) } else { _mm512_srli_epi64(previous, 62) };
                Self(_mm512_or_si512(_mm512_sllv_epi64(self.0, _mm512_set1_epi64(i64::from(BY))), over))
            }
        }

        /// Lanes that overflow carry into the next, and lanes that are full hand a carry on: the same sum, of bits.
        #[inline(always)]
        fn plus(self, other: Self, carry: &mut u8) -> Self {
            // SAFETY: no memory is touched; only `scan_avx512` gets here.
            unsafe {
                let ones = _mm512_set1_epi64(-1);
                let sum = _mm512_add_epi64(self.0, other.0);
                let over = u32::from(_mm512_cmplt_epu64_mask(sum, self.0));
                let full = u32::from(_mm512_cmpeq_epi64_mask(sum, ones));
                let carried = (over << 1 | u32::from(*carry)).wrapping_add(full) ^ full;
                *carry = (carried >> 8) as u8;
                Self(_mm512_mask_sub_epi64(sum, carried as u8, sum, ones))
            }
        }
    }

    /// 0, 1, 2 … 63.
    const PLACES: [u8; 64] = {
        let mut places = [0; 64];
        let mut at = 0;
        while at < 64 {
            places[at] = at as u8;
            at += 1;
        }
        places
    };
}
