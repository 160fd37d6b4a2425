//! One number out of the OpenMetrics text: the sum of the samples of a name, all of them or those with certain labels.

/// `mesh_tasks_events{event="granted"}`: the name of samples, and labels that they have among others.
struct Selector<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
}

impl<'a> Selector<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, labels) = match text.split_once('{') {
            Some((name, rest)) => (name, labels(rest.strip_suffix('}')?)?),
            None => (text, Vec::new()),
        };
        Some(Self { name, labels })
    }

    /// A counter may be named without the `_total` of its samples, as dashboards and people do.
    fn takes(&self, name: &str) -> bool {
        name == self.name || name.strip_suffix("_total") == Some(self.name)
    }
}

/// `a="b",c="d"`, with nothing escaped: labels of ours have nothing to escape.
fn labels(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = text;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"")?;
        let (value, behind) = behind.split_once('"')?;
        found.push((name, value));
        rest = match behind.strip_prefix(',') {
            Some(more) => more,
            None if behind.is_empty() => "",
            None => return None,
        };
    }
    Some(found)
}

/// None where there is no such sample.
pub fn sum(text: &str, selector: &str) -> Option<f64> {
    let selector = Selector::parse(selector)?;
    let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, behind) = line.split_once(['{', ' '])?;
        if !selector.takes(name) {
            return None;
        }
        let (found, value) = match line.as_bytes().get(name.len()) {
            Some(b'{') => {
                let (inside, value) = behind.split_once("} ")?;
                (labels(inside)?, value)
            }
            _ => (Vec::new(), behind),
        };
        let has_all = selector.labels.iter().all(|label| found.contains(label));
        // A time or an example may follow.
        has_all.then(|| value.split(' ').next()?.parse::<f64>().ok()).flatten()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP mesh_tasks_running Attempts that run here.\n# TYPE mesh_tasks_running gauge\n\
        mesh_tasks_running 3\nmesh_tasks_running_not 99\n\
        mesh_tasks_events_total{event=\"born\"} 5\nmesh_tasks_events_total{event=\"granted\",kind=\"a b\"} 2\n\
        some_latency_bucket{le=\"+Inf\"} 4 # {x=\"y\"} 1.0\nsome_latency_sum 1.25\n# EOF\n";

    #[test]
    fn samples_of_a_name_are_summed_or_chosen_by_labels() {
        for (name, value) in [
            ("mesh_tasks_running", Some(3.0)),
            ("mesh_tasks_events_total", Some(7.0)),
            ("mesh_tasks_events", Some(7.0)),
            ("mesh_tasks_events{event=\"granted\"}", Some(2.0)),
            ("mesh_tasks_events{kind=\"a b\",event=\"granted\"}", Some(2.0)),
            ("mesh_tasks_events{event=\"lost\"}", None),
            ("some_latency_bucket", Some(4.0)),
            ("some_latency_sum", Some(1.25)),
            ("some_latency", None),
            ("some", None),
            ("", None),
            ("mesh_tasks_events{event=granted}", None),
            ("mesh_tasks_events{event=\"granted\"", None),
        ] {
            assert_eq!(sum(TEXT, name), value, "{name}");
        }
    }
}
