//! What many types would otherwise write by hand.

/// Declares an enum in which each variant has a word, in config, metrics, logs, answers or the audit trail, and gives
/// it `ALL` and `as_str`. A word that people search for or that is stored never changes.
macro_rules! words {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$meta])*
        $visibility enum $name { $($(#[$variant_meta])* $variant,)+ }

        #[allow(dead_code, reason = "not every list of words is walked")]
        impl $name {
            /// Every one, in the order of its number.
            $visibility const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Its word.
            $visibility const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

/// `Debug` by these fields alone: the others must not be printed, or cannot be.
macro_rules! debug_fields {
    ([$($generics:tt)+] $type:ty: $($field:ident),+) => {
        impl $($generics)+ std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))$(.field(stringify!($field), &self.$field))+.finish_non_exhaustive()
            }
        }
    };
    ($type:ty: $($field:ident),+) => {
        $crate::model::debug_fields!([<>] $type: $($field),+);
    };
}

pub(crate) use {debug_fields, words};
