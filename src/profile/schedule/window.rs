//! Parses a window's wall-clock times. Pure.

use jiff::{
    SignedDuration,
    civil::{Date, Time, Weekday},
};

use super::{ScheduleError, Window};
use crate::profile::Repeat;

/// The longest monthly window: the controller counts a month from today, and February has 28 days
/// (reference: `schedule.go` of the controller). arcctl writes dates, and keeps to the same limit, because a longer one
/// would run into its next.
const LONGEST_MONTHLY: i64 = 28;

/// The longest yearly window.
const LONGEST_YEARLY: i64 = 365;

/// The controller's recurrences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
}

impl Period {
    /// Its length without a clock change.
    pub const fn length(self) -> SignedDuration {
        match self {
            Self::Daily => SignedDuration::from_hours(24),
            Self::Weekly => SignedDuration::from_hours(7 * 24),
        }
    }
}

/// One end of a window: `HH:MM`, `Ddd HH:MM` or `YYYY-MM-DD HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    /// The part before the time of day.
    pub day: Day,
    /// The time of day.
    pub time: Time,
}

/// Which day one end of a window is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// None given.
    Any,
    /// A day of the week.
    Weekday(Weekday),
    /// A date.
    Date(Date),
}

impl WallTime {
    /// Parses the profile's format; `None` if it is invalid, or a date that does not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.split_once(' ') {
            Some((day, time)) => {
                let weekday = weekday(day).map(Day::Weekday);
                (weekday.or_else(|| Some(Day::Date(date(day)?)))?, time)
            }
            None => (Day::Any, text),
        };
        let (hour, minute) = time.split_once(':')?;
        let time = Time::new(digits(hour, 2)?, digits(minute, 2)?, 0, 0).ok()?;
        Some(Self { day, time })
    }

    /// Minutes since 00:00.
    pub(super) fn minutes(self) -> i64 {
        i64::from(self.time.hour()) * 60 + i64::from(self.time.minute())
    }
}

/// `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let (month, day) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    Date::new(year, month, day).ok()
}

fn digits<T: std::str::FromStr>(text: &str, count: usize) -> Option<T> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Days of the week, Monday first.
pub(super) type Weekdays = [bool; 7];

/// Parses `Mon-Fri`, `Sat-Mon`, `Mon, Wed, Fri`, and combinations.
fn weekdays(text: &str) -> Option<Weekdays> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part
            .trim()
            .split_once('-')
            .unwrap_or((part.trim(), part.trim()));
        let (mut day, last) = (weekday(first)?, weekday(last)?);
        days[place(day)] = true;
        while day != last {
            day = day.next();
            days[place(day)] = true;
        }
    }
    Some(days)
}

/// The index of a day in [`Weekdays`].
pub(super) fn place(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// The parsed times of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// The time of day when it opens.
    pub(super) from: WallTime,
    /// The time of day when it closes.
    pub(super) to: WallTime,
    /// The days between the date it opens on and the date it closes on.
    pub(super) days_open: i64,
    /// The dates it opens on.
    pub(super) opens: Opens,
    /// The last one.
    pub(super) until: Option<Date>,
}

/// The dates a window opens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    /// Days of the week.
    On(Weekdays),
    /// A date, and its repetition.
    From(Date, Option<Repeat>),
}

/// Parses a window's times.
pub(crate) fn times(window: &Window) -> Result<Times, ScheduleError> {
    let name = || window.name.clone();
    let bad = |text: &str| ScheduleError::BadTime {
        window: window.name.clone(),
        text: text.to_owned(),
    };
    let read = |text: &str| WallTime::parse(text).ok_or_else(|| bad(text));
    let (from, to) = (read(&window.from)?, read(&window.to)?);
    let (opens, days_open) = match (from.day, to.day) {
        (Day::Any, Day::Any) => {
            if from == to && window.days.is_none() {
                return Err(ScheduleError::Empty(name()));
            }
            let days = match &window.days {
                Some(days) => weekdays(days).ok_or_else(|| bad(days))?,
                None => [true; 7],
            };
            (Opens::On(days), i64::from(to.time <= from.time))
        }
        (Day::Weekday(_) | Day::Date(_), Day::Weekday(_) | Day::Date(_))
            if window.days.is_some() =>
        {
            return Err(ScheduleError::DaysTwice(name()));
        }
        (Day::Weekday(first), Day::Weekday(last)) => {
            if from == to {
                return Err(ScheduleError::Empty(name()));
            }
            let mut days = [false; 7];
            days[place(first)] = true;
            let between = i64::from(last.since(first));
            let between = if between == 0 && to.time < from.time {
                7
            } else {
                between
            };
            (Opens::On(days), between)
        }
        (Day::Date(first), Day::Date(last)) => {
            if (last, to.time) <= (first, from.time) {
                return Err(ScheduleError::EndsFirst(name()));
            }
            let between = (last - first).get_days();
            (Opens::From(first, window.repeat), i64::from(between))
        }
        _ => return Err(ScheduleError::MixedPeriod(name())),
    };
    let until = match &window.until {
        Some(until) => Some(date(until).ok_or_else(|| bad(until))?),
        None => None,
    };
    let times = Times {
        from,
        to,
        days_open,
        opens,
        until,
    };
    times.check(window)?;
    Ok(times)
}

impl Times {
    fn check(self, window: &Window) -> Result<(), ScheduleError> {
        let name = || window.name.clone();
        match self.opens {
            Opens::On(_) if window.repeat.is_some() => {
                Err(ScheduleError::RepeatWithoutDate(name()))
            }
            Opens::From(_, None) if self.until.is_some() => Err(ScheduleError::UntilOfOnce(name())),
            Opens::From(first, Some(_)) if self.until.is_some_and(|until| until < first) => {
                Err(ScheduleError::NeverOpens(name()))
            }
            Opens::From(_, Some(repeat)) => {
                let longest = match repeat {
                    Repeat::Monthly => LONGEST_MONTHLY,
                    Repeat::Yearly => LONGEST_YEARLY,
                };
                if self.minutes_open() > longest * 24 * 60 {
                    return Err(ScheduleError::TooLong {
                        window: name(),
                        days: longest,
                    });
                }
                Ok(())
            }
            Opens::On(_) | Opens::From(_, None) => Ok(()),
        }
    }

    /// How long it is open, without clock changes.
    pub(super) fn minutes_open(self) -> i64 {
        self.days_open * 24 * 60 + self.to.minutes() - self.from.minutes()
    }

    /// The same, one per recurrence that the controller needs: every day, or every week on one day. Empty for dates.
    pub(super) fn recurrences(self) -> Vec<(Period, Self)> {
        let Opens::On(days) = self.opens else {
            return Vec::new();
        };
        if days == [true; 7] {
            return vec![(Period::Daily, self)];
        }
        let on = |day: usize| {
            let mut only = [false; 7];
            only[day] = true;
            let opens = Opens::On(only);
            (Period::Weekly, Self { opens, ..self })
        };
        (0..7).filter(|&day| days[day]).map(on).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str) -> Window {
        Window {
            name: "w".into(),
            from: from.into(),
            to: to.into(),
            min: 1,
            ..Window::default()
        }
    }

    #[test]
    fn only_the_profile_s_forms_are_times() {
        for text in [
            "",
            "8:00",
            "24:00",
            "08:60",
            "sat 00:00",
            "Saturday 00:00",
            "Sat  00:00",
            "+1:00",
            "08:00 ",
            "2026-02-30 08:00",
            "2026-2-3 08:00",
            "26-02-03 08:00",
            "2026-12-24T18:00",
            "2026-12-24",
        ] {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
        let midnight = WallTime::parse("Sat 00:00").unwrap();
        assert_eq!(midnight.day, Day::Weekday(Weekday::Saturday));
        assert_eq!(WallTime::parse("23:59").unwrap().minutes(), 23 * 60 + 59);
        let eve = WallTime::parse("2028-02-29 18:30").unwrap();
        assert_eq!(eve.day, Day::Date(jiff::civil::date(2028, 2, 29)));
    }

    #[test]
    fn ranges_of_days_may_wrap_and_be_joined() {
        let names = |text: &str| {
            weekdays(text).map(|days| {
                let all = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
                let open = all.iter().zip(days).filter(|(_, open)| *open);
                open.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(names("Mon-Fri").as_deref(), Some("Mon Tue Wed Thu Fri"));
        assert_eq!(names("Sat-Mon").as_deref(), Some("Mon Sat Sun"));
        assert_eq!(names("Tue").as_deref(), Some("Tue"));
        assert_eq!(
            names("Mon, Wed,Fri-Sat").as_deref(),
            Some("Mon Wed Fri Sat")
        );
        assert_eq!(
            names("Wed-Tue").as_deref(),
            Some("Mon Tue Wed Thu Fri Sat Sun")
        );
        for text in ["", "mon", "Mon-", "Mon–Fri", "Mon-Fri-Sun", "Mo"] {
            assert_eq!(names(text), None, "{text}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let of = |change: &dyn Fn(&mut Window)| {
            let mut window = window("2026-12-24 18:00", "2026-12-26 08:00");
            change(&mut window);
            times(&window)
        };
        let w = || "w".to_owned();
        assert!(of(&|_| ()).is_ok());
        let set = |from: &'static str, to: &'static str| {
            move |it: &mut Window| {
                it.from = from.into();
                it.to = to.into();
            }
        };
        for (from, to) in [("Sat 00:00", "08:00"), ("Sat 00:00", "2026-12-24 18:00")] {
            assert_eq!(of(&set(from, to)), Err(ScheduleError::MixedPeriod(w())));
        }
        assert_eq!(of(&set("08:00", "08:00")), Err(ScheduleError::Empty(w())));
        for to in ["2026-12-24 18:00", "2026-12-24 08:00", "2025-12-26 08:00"] {
            let result = of(&|it| it.to = to.into());
            assert_eq!(result, Err(ScheduleError::EndsFirst(w())), "{to}");
        }
        let result = of(&|it| it.days = Some("Mon-Fri".into()));
        assert_eq!(result, Err(ScheduleError::DaysTwice(w())));
        let result = of(&|it| it.until = Some("2027-03-01".into()));
        assert_eq!(result, Err(ScheduleError::UntilOfOnce(w())));
        let result = of(&|it| {
            it.until = Some("2026-12-23".into());
            it.repeat = Some(Repeat::Yearly);
        });
        assert_eq!(result, Err(ScheduleError::NeverOpens(w())));
        let result = of(&|it| {
            it.to = "2027-01-21 18:01".into();
            it.repeat = Some(Repeat::Monthly);
        });
        assert_eq!(
            result,
            Err(ScheduleError::TooLong {
                window: w(),
                days: 28
            })
        );
        let result = of(&|it| {
            set("08:00", "18:00")(it);
            it.repeat = Some(Repeat::Monthly);
        });
        assert_eq!(result, Err(ScheduleError::RepeatWithoutDate(w())));
    }

    #[test]
    fn with_days_the_same_time_is_a_whole_day() {
        let mut weekend = window("00:00", "00:00");
        weekend.days = Some("Sat-Sun".into());
        let times = times(&weekend).unwrap();
        assert_eq!(times.minutes_open(), 24 * 60);
        assert_eq!(times.recurrences().len(), 2);
    }
}
