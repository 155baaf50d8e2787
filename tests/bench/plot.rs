//! Throughput and latency over time, as one picture (SVG 1.1): a panel for each measurement, a
//! line for each program.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How finely time is cut.
const BIN: Duration = Duration::from_millis(200);

/// A panel, in pixels.
const SIZE: (f64, f64) = (560.0, 180.0);

/// Around a panel: room for its title, the figures beside it, and the seconds below.
const MARGIN: (f64, f64) = (70.0, 44.0);

/// One colour for each program; told apart by those who see no red and green (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];

/// What happened in one bin of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bin {
    count: usize,
    slowest: Duration,
}

/// How a measurement went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course(Vec<Bin>);

impl Course {
    /// Of things that ended at a time and took some.
    pub(crate) fn of(began: Instant, ends: impl Iterator<Item = (Instant, Duration)>) -> Self {
        let mut course = Self::default();
        for (at, took) in ends {
            course.add(at.duration_since(began), 1, took);
        }
        course
    }

    /// Of looks at how many were done.
    pub(crate) fn of_looks(looks: &[(Instant, usize)]) -> Self {
        let mut course = Self::default();
        let Some((began, _)) = looks.iter().find(|(_, done)| *done > 0) else { return course };
        for pair in looks.windows(2) {
            if let [(_, before), (at, done)] = pair
                && at >= began
            {
                course.add(at.duration_since(*began), done - before, Duration::ZERO);
            }
        }
        course
    }

    /// Whether nothing is known of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, at: Duration, count: usize, took: Duration) {
        let place = usize::try_from(at.as_millis() / BIN.as_millis()).unwrap();
        if self.0.len() <= place {
            self.0.resize(place + 1, Bin::default());
        }
        self.0[place].count += count;
        self.0[place].slowest = self.0[place].slowest.max(took);
    }

    fn rates(&self) -> Vec<f64> {
        self.0.iter().map(|bin| bin.count as f64 / BIN.as_secs_f64()).collect()
    }

    fn slowest_ms(&self) -> Vec<f64> {
        self.0.iter().map(|bin| bin.slowest.as_secs_f64() * 1000.0).collect()
    }
}

/// The picture of panels, each with its title and the courses of programs.
pub(crate) fn picture(panels: &[(String, Vec<(String, &Course)>)]) -> String {
    let mut drawn = String::new();
    let mut rows = 0;
    for (title, courses) in panels {
        let rates = courses.iter().map(|(name, course)| (name.as_str(), course.rates())).collect();
        draw(&mut drawn, (0, rows), &format!("{title}: a second"), rates);
        let slow: Vec<_> =
            courses.iter().map(|(name, course)| (name.as_str(), course.slowest_ms())).collect();
        if slow.iter().any(|(_, values)| values.iter().any(|value| *value > 0.0)) {
            draw(&mut drawn, (1, rows), &format!("{title}: slowest, ms"), slow);
        }
        rows += 1;
    }
    let (width, height) = ((SIZE.0 + MARGIN.0) * 2.0 + 20.0, (SIZE.1 + MARGIN.1) * f64::from(rows));
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' \
         font-family='sans-serif' font-size='11'>\n\
         <rect width='100%' height='100%' fill='white'/>\n{drawn}</svg>\n"
    )
}

fn draw(out: &mut String, place: (i32, i32), title: &str, lines: Vec<(&str, Vec<f64>)>) {
    let left = f64::from(place.0) * (SIZE.0 + MARGIN.0) + MARGIN.0;
    let top = f64::from(place.1) * (SIZE.1 + MARGIN.1) + MARGIN.1 / 2.0;
    let bins = lines.iter().map(|(_, values)| values.len()).max().unwrap_or(1).max(2);
    let most = lines.iter().flat_map(|(_, values)| values).copied().fold(1.0, f64::max);
    let seconds = (bins - 1) as f64 * BIN.as_secs_f64();
    let _ = writeln!(
        out,
        "<text x='{left}' y='{}' font-weight='bold'>{title}</text>\n\
         <rect x='{left}' y='{top}' width='{}' height='{}' fill='none' stroke='#888'/>\n\
         <text x='{}' y='{}' text-anchor='end'>{most:.0}</text>\n\
         <text x='{}' y='{}' text-anchor='end'>0</text>\n\
         <text x='{}' y='{}' text-anchor='end'>{seconds:.1} s</text>",
        top - 5.0,
        SIZE.0,
        SIZE.1,
        left - 4.0,
        top + 10.0,
        left - 4.0,
        top + SIZE.1,
        left + SIZE.0,
        top + SIZE.1 + 13.0,
    );
    for (number, (name, values)) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut points = String::new();
        for (bin, value) in values.iter().enumerate() {
            let x = left + SIZE.0 * bin as f64 / (bins - 1) as f64;
            let y = top + SIZE.1 * (1.0 - value / most);
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        let _ = writeln!(
            out,
            "<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.5'/>\n\
             <text x='{}' y='{}' fill='{colour}'>{name}</text>",
            left + 8.0 + 130.0 * number as f64,
            top + SIZE.1 - 6.0,
        );
    }
}
