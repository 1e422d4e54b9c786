//! Recognises RSA keys of the faulty generator known as ROCA (CVE-2017-15361), whose private half can be computed.
//!
//! The primes of such a key are powers of 65537 modulo the product of small primes, so the modulus is such a power
//! modulo each small prime. A sound key looks like this with a probability below one in a hundred million.

/// Small primes modulo which 65537 generates few of the residues, so that they tell faulty keys from sound ones.
const PRIMES: [u64; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether a modulus (big-endian) has the mark of the faulty generator.
pub(crate) fn is_marked(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power(remainder(modulus, *prime), *prime))
}

fn remainder(modulus: &[u8], prime: u64) -> u64 {
    modulus.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % prime)
}

fn is_power(residue: u64, prime: u64) -> bool {
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * 65_537 % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_the_generator_are_marked_and_sound_moduli_are_not() {
        assert!(is_marked(&[1]) && is_marked(&65_537_u64.to_be_bytes()) && is_marked(&65_537_u64.pow(3).to_be_bytes()));
        let marked = (0..100_000_u32).filter(|number| is_marked(&(number * 2 + 3).to_be_bytes())).count();
        assert!(marked <= 2, "{marked}");
    }
}
