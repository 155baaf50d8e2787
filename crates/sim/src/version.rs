//! Which shape of an object a `Stripe-Version` asks for.

/// The generally available version whose shape the simulator renders.
pub const GA_VERSION: &str = "2026-10-28.endive";

/// The public preview version whose shape the simulator renders.
pub const PREVIEW_VERSION: &str = "2026-09-30.preview";

/// The three shapes the same object can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `*.preview`: everything, including authorization, institution and the inactive details.
    Preview,
    /// `YYYY-MM-DD.name`: generally available; none of the preview-only fields.
    Ga,
    /// A bare date, from before named releases: no `status_details`, no `account_numbers`.
    Dated,
}

impl Shape {
    /// Reads a version as Stripe writes them; `None` if it is not one.
    pub(crate) fn of(version: &str) -> Option<Shape> {
        let (date, name) = match version.split_once('.') {
            Some((date, name)) => (date, Some(name)),
            None => (version, None),
        };
        date.parse::<jiff::civil::Date>().ok().filter(|_| date.len() == "2026-01-01".len())?;
        match name {
            None => Some(Shape::Dated),
            Some("preview") => Some(Shape::Preview),
            Some(name) if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()) => {
                Some(Shape::Ga)
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_its_shape() {
        assert_eq!(Shape::of(PREVIEW_VERSION), Some(Shape::Preview));
        assert_eq!(Shape::of(GA_VERSION), Some(Shape::Ga));
        assert_eq!(Shape::of("2022-11-15"), Some(Shape::Dated));
        for wrong in ["", "latest", "2026-13-01.preview", "2026-10-28.", "20261028", "v1"] {
            assert_eq!(Shape::of(wrong), None, "{wrong}");
        }
    }
}
