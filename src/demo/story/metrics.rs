//! The gateway's own figures, as Prometheus would scrape them.

use super::super::client::DemoRequest;
use super::super::stage::DemoStage;
use super::StoryError;

/// The metrics of one moment.
#[derive(Debug)]
pub(super) struct ScrapedMetrics(String);

impl ScrapedMetrics {
    pub(super) async fn read(stage: &DemoStage) -> Result<Self, StoryError> {
        let reply = DemoRequest::get(stage.admin, "/metrics").finish(&stage.clock).await?;
        Ok(Self(String::from_utf8_lossy(&reply.body).into_owned()))
    }

    /// The sum of a family's series that have all these labels.
    pub(super) fn sum(&self, family: &str, labels: &[&str]) -> u64 {
        self.series(family).filter(|(found, _)| labels.iter().all(|label| found.contains(label))).map(|(_, n)| n).sum()
    }

    /// Each value of a label in a family, with its sum, where there is any.
    pub(super) fn by(&self, family: &str, labels: &[&str], label: &str) -> Vec<(String, u64)> {
        let mut sums: Vec<(String, u64)> = Vec::new();
        for (found, number) in self.series(family) {
            let start = format!("{label}=\"");
            let value = found.split(start.as_str()).nth(1).and_then(|rest| rest.split('"').next());
            let Some(value) = value.filter(|_| number > 0 && labels.iter().all(|label| found.contains(label))) else {
                continue;
            };
            match sums.iter_mut().find(|(name, _)| name == value) {
                Some((_, sum)) => *sum += number,
                None => sums.push((value.to_owned(), number)),
            }
        }
        sums
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
