//! Near names, for "did you mean".

/// Returns the candidate nearest to a name, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let folded: Vec<char> = fold(name).collect();
    // Room that all comparisons share: a file may have thousands of names.
    let (mut other, mut rows) = (Vec::new(), [const { Vec::new() }; 3]);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        other.clear();
        other.extend(fold(candidate));
        let distance = distance(&folded, &other, limit, &mut rows);
        if let Some(distance) = distance.filter(|distance| best.is_none_or(|(least, _)| *distance < least)) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

fn fold(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|character| !matches!(character, '-' | '_')).flat_map(char::to_lowercase)
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two words, if it is no more than `limit`.
fn distance(left: &[char], right: &[char], limit: usize, rows: &mut [Vec<usize>; 3]) -> Option<usize> {
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let [earlier, above, row] = rows;
    above.clear();
    above.extend(0..=right.len());
    for i in 1..=left.len() {
        row.clear();
        row.push(i);
        for j in 1..=right.len() {
            let replace = above[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replace.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(earlier[j - 2] + 1);
            }
            row.push(best);
        }
        // Words do not get nearer again.
        if row.iter().chain(above.iter()).min() > Some(&limit) {
            return None;
        }
        std::mem::swap(earlier, above);
        std::mem::swap(above, row);
    }
    above.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let known = ["ports", "image", "environment", "depends_on", "command"];
        for (name, expect) in [
            ("port", Some("ports")),
            ("imgae", Some("image")),
            ("enviroment", Some("environment")),
            ("dependsOn", Some("depends_on")),
            ("depends-on", Some("depends_on")),
            ("zebra", None),
        ] {
            assert_eq!(nearest(name, known).as_deref(), expect, "{name}");
        }
    }
}
