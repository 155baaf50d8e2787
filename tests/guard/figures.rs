//! What was counted when the figures were taken, and how far from it a count may be.

use serde_json::Value;

/// How far from its figure a count may be, in percent: less is noise, or not worth a look.
const ROOM_PERCENT: f64 = 10.0;

/// Where the figures are.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guard/figures.json");

/// The stored figures.
pub(crate) struct Figures(Value);

/// One kind of them, with what was counted beside it.
pub(crate) struct Judge {
    figures: Value,
    problems: Vec<String>,
}

impl Figures {
    /// Reads them anew, so that a change of them needs no build.
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap())
    }

    /// What counts of instructions hold for.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{PATH} has no text `{name}`"))
    }

    /// The figures of one kind.
    pub(crate) fn judge(&self, kind: &str) -> Judge {
        Judge { figures: self.0[kind].clone(), problems: Vec::new() }
    }
}

impl Judge {
    /// Holds a count against its figure, with some room.
    pub(crate) fn about(&mut self, name: &str, counted: f64) {
        let figure = self.figures[name].as_f64();
        let far = |figure: f64| (counted - figure).abs() > figure * ROOM_PERCENT / 100.0;
        self.tell(name, counted, figure, figure.is_none_or(far));
    }

    /// Holds a count against its figure.
    pub(crate) fn exactly(&mut self, name: &str, what: &str, counted: u64) {
        let figure = self.figures[name][what].as_u64();
        let differs = figure != Some(counted);
        let figure = figure.map(|figure| figure as f64);
        self.tell(&format!("{name}, {what}"), counted as f64, figure, differs);
    }

    fn tell(&mut self, name: &str, counted: f64, figure: Option<f64>, is_problem: bool) {
        let figure_text = figure.map_or("none yet".to_owned(), |figure| figure.to_string());
        let told = format!("{name}: {counted} (figure: {figure_text})");
        eprintln!("{told}");
        if !is_problem {
            return;
        }
        // A gain that is not kept would let the next loss pass.
        let what = match figure {
            Some(figure) if figure < counted => " is more than before: mend it, or",
            Some(_) => " is less than before:",
            None => ":",
        };
        self.problems.push(format!("{told}{what} update the figure: {counted}"));
    }

    /// Fails with all that is not as it should be.
    pub(crate) fn done(self) {
        assert!(self.problems.is_empty(), "{PATH}:\n{}", self.problems.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Judge;

    fn problems(counted: f64) -> usize {
        let mut judge = Judge { figures: json!({ "a": 200, "none": 0 }), problems: Vec::new() };
        judge.about("a", counted);
        judge.problems.len()
    }

    #[test]
    fn a_tenth_more_or_less_passes_and_no_more() {
        assert_eq!([200.0, 220.0, 180.0].map(problems), [0, 0, 0]);
        assert_eq!([221.0, 179.0, 0.0].map(problems), [1, 1, 1]);
    }

    #[test]
    fn none_means_none_and_a_figure_that_is_not_there_is_asked_for() {
        let mut judge = Judge { figures: json!({ "none": 0 }), problems: Vec::new() };
        judge.about("none", 0.0);
        assert_eq!(judge.problems.len(), 0);
        judge.about("none", 0.1);
        judge.about("missing", 1.0);
        assert!(judge.problems[1].ends_with("(figure: none yet): update the figure: 1"));
        assert_eq!(judge.problems.len(), 2);
    }
}
