//! Finds the known word that a misspelt one is nearest to, for 'did you mean'.

/// The nearest known word, if it is within a third of the word's length and within 3 edits.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let limit = folded.chars().count().div_ceil(3).min(3);
    let distances = known.into_iter().map(|candidate| (distance(&folded, &fold(candidate)), candidate));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

fn fold(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().take(64).collect(), right.chars().take(64).collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 { i + j } else { cell(&rows, &left, &right, i, j) };
        }
    }
    rows[left.len()][right.len()]
}

fn cell(rows: &[Vec<usize>], left: &[char], right: &[char], i: usize, j: usize) -> usize {
    let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
    let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
    let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
    if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_the_one_that_was_meant_and_another_word_finds_none() {
        let known = ["vendor", "security_contact", "scopes", "ends", "owner"];
        for (word, expected) in [
            ("vednor", Some("vendor")),
            ("security-contact", Some("security_contact")),
            ("Scope", Some("scopes")),
            ("end", Some("ends")),
            ("credentials", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
