//! The gateway's own figures, as Prometheus would scrape them.

use std::collections::BTreeMap;

use super::super::client::DemoRequest;
use super::super::stage::DemoStage;
use super::Played;

/// The metrics of one moment.
#[derive(Debug)]
pub(super) struct ScrapedMetrics(String);

impl ScrapedMetrics {
    pub(super) async fn read(stage: &DemoStage) -> Played<Self> {
        let reply = DemoRequest::get(stage.admin, "/metrics").finish(&stage.clock).await?;
        Ok(Self(String::from_utf8_lossy(&reply.body).into_owned()))
    }

    /// The sum of a family's series that have all these labels.
    pub(super) fn sum(&self, family: &str, labels: &[&str]) -> u64 {
        self.series(family).filter(|(found, _)| has_all(found, labels)).map(|(_, number)| number).sum()
    }

    /// Each value of a label in a family, with its sum, where there is any.
    pub(super) fn by(&self, family: &str, labels: &[&str], label: &str) -> Vec<(String, u64)> {
        let start = format!("{label}=\"");
        let mut sums = BTreeMap::new();
        for (found, number) in self.series(family).filter(|(found, n)| *n > 0 && has_all(found, labels)) {
            if let Some((value, _)) = found.split_once(&start).and_then(|(_, rest)| rest.split_once('"')) {
                *sums.entry(value.to_owned()).or_default() += number;
            }
        }
        sums.into_iter().collect()
    }

    /// Labels and value of each series of a family.
    fn series<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        let lines = self.0.lines().filter_map(move |line| line.strip_prefix(family)?.strip_prefix('{'));
        lines.filter_map(|line| {
            let (labels, value) = line.rsplit_once("} ")?;
            Some((labels, value.parse::<f64>().ok()? as u64))
        })
    }
}

fn has_all(found: &str, labels: &[&str]) -> bool {
    labels.iter().all(|label| found.contains(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let text = "# HELP a_total x\na_total{v=\"one\",r=\"x\"} 2\na_total{v=\"one\",r=\"y\"} 3\na_total{v=\"two\",r=\"x\"} 4\nab_total{v=\"one\"} 9\n";
        let metrics = ScrapedMetrics(text.to_owned());
        assert_eq!((metrics.sum("a_total", &["v=\"one\""]), metrics.sum("a_total", &[])), (5, 9));
        assert_eq!(metrics.by("a_total", &[], "r"), [("x".to_owned(), 6), ("y".to_owned(), 3)]);
    }
}
