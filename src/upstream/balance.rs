//! Which of several targets a request goes to.
//!
//! Takes no lock and needs no randomness of the system: the turns of a group are numbered, and the numbers are spread.

use super::group_settings::BalanceMethod;

/// The target for the request of this turn among those that fit; `None` where none does. `load` is the number of
/// requests under way at a target.
pub(super) fn pick(
    balance: BalanceMethod,
    turn: usize,
    count: usize,
    fits: &dyn Fn(usize) -> bool,
    load: impl Fn(usize) -> usize,
) -> Option<usize> {
    let fitting = (0..count).filter(|index| fits(*index)).count();
    let nth = |n: usize| (0..count).filter(|index| fits(*index)).nth(n);
    match balance {
        BalanceMethod::RoundRobin => nth(turn.checked_rem(fitting)?),
        BalanceMethod::LeastRequests => {
            let (first, second) = two_of(fitting, spread(turn as u64))?;
            [nth(first), nth(second)].into_iter().flatten().min_by_key(|index| load(*index))
        }
    }
}

/// Two different numbers below `count`, or the same twice where there is one only.
fn two_of(count: usize, random: u64) -> Option<(usize, usize)> {
    let first = (random as u32 as usize).checked_rem(count)?;
    let step = (random >> 32) as usize % (count - 1).max(1);
    Some((first, (first + 1 + step) % count))
}

/// Spreads the numbers of turns over all 64 bits (splitmix64).
pub(super) const fn spread(turn: u64) -> u64 {
    let mut mixed = turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_take_turns_and_those_that_do_not_fit_are_passed_over() {
        let fits = |index: usize| index != 1;
        let picked: Vec<_> = (0..6).filter_map(|turn| pick(BalanceMethod::RoundRobin, turn, 3, &fits, |_| 0)).collect();
        assert_eq!(picked, [0, 2, 0, 2, 0, 2]);
        for method in [BalanceMethod::RoundRobin, BalanceMethod::LeastRequests] {
            assert_eq!(pick(method, usize::MAX, 3, &|_| false, |_| 0), None);
            assert_eq!(pick(method, usize::MAX, 3, &|index| index == 2, |_| 0), Some(2));
        }
    }

    #[test]
    fn of_two_targets_the_one_with_fewer_requests_is_taken() {
        let mut load = [0_usize; 5];
        for turn in 0..1_000 {
            let index = pick(BalanceMethod::LeastRequests, turn, 5, &|index| index != 3, |index| load[index]);
            load[index.expect("one fits")] += 1;
        }
        assert_eq!(load[3], 0);
        assert!([0, 1, 2, 4].iter().all(|index| load[*index].abs_diff(250) < 5), "{load:?}");
        for count in 1..20 {
            for turn in 0..200 {
                let (first, second) = two_of(count, spread(turn)).expect("two");
                assert!(first < count && second < count && (first != second || count == 1));
            }
        }
    }
}
