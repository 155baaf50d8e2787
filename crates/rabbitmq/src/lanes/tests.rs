use std::time::Duration;

use relink_bus::message::{CONTENT_TYPE_JSON, Headers, Message};
use relink_bus::topology::Exchange;
use tokio::sync::mpsc;

use super::*;
use crate::outlet::Job;
use crate::properties::parcel;

/// Longer than any test that does not wait for it to be over.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a lane is, before anything is handed over.
#[derive(Clone, Copy)]
enum Is {
    Open,
    /// As many in flight as it may have.
    Full,
    Away,
    Blocked,
}

use Is::{Away, Blocked, Full, Open};

/// Lanes without a broker behind them: what they are given stays in the queues.
struct Stand {
    lanes: Lanes,
    queues: Vec<mpsc::Receiver<Job>>,
}

impl Stand {
    fn new(each: [Is; LANES], in_flight_max: usize, confirm_timeout: Duration) -> Self {
        let mut queues = Vec::new();
        let outlets = each.map(|is| {
            let (outlet, queue) = Outlet::new(in_flight_max, confirm_timeout);
            queues.push(queue);
            outlet.state().connected();
            match is {
                Open => {}
                Full => (0..in_flight_max).for_each(|_| hand_over(outlet.place())),
                Away => outlet.state().lost(None),
                Blocked => outlet.state().blocked(true),
            }
            outlet
        });
        Self { lanes: Lanes::over(outlets, confirm_timeout), queues }
    }

    fn of(each: [Is; LANES]) -> Self {
        Self::new(each, 4, PATIENCE)
    }

    /// How many each lane was given.
    fn given(&self) -> Vec<usize> {
        self.queues.iter().map(mpsc::Receiver::len).collect()
    }
}

/// A connection is lost, and with it all that it had in flight.
fn lose(outlet: &Outlet, queue: &mut mpsc::Receiver<Job>) {
    outlet.state().down();
    while let Ok(job) = queue.try_recv() {
        job.waiting.answer(Err(PublishError::Away));
    }
}

fn hand_over(place: Result<Place<'_>, PublishError>) {
    assert!(place.and_then(|place| place.hand_over(one())).is_ok());
}

fn one() -> Parcel {
    parcel(message()).unwrap()
}

/// A message of which nobody looks at anything.
pub(crate) fn message() -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: "key".into(),
        also_to: None,
        mandatory: true,
        id: "evt_1".into(),
        kind: "key".into(),
        timestamp_unix_s: 0,
        correlation: None,
        content_type: CONTENT_TYPE_JSON,
        headers: Headers::default(),
        body: "{}".into(),
    }
}

#[test]
fn what_comes_alone_goes_in_runs() {
    let stand = Stand::new([Open, Open], 4 * RUN, PATIENCE);
    for given in [[RUN, 0], [RUN, RUN], [2 * RUN, RUN]] {
        (0..RUN).for_each(|_| assert!(stand.lanes.submit(one()).is_ok()));
        assert_eq!(stand.given(), given);
    }
}

#[tokio::test]
async fn a_list_goes_to_the_lane_whose_turn_it_is() {
    let stand = Stand::of([Open, Open]);
    for given in [[1, 0], [1, 1], [2, 1], [2, 2]] {
        assert!(stand.lanes.submit_in_turn(stand.lanes.turn(), one()).await.is_ok());
        assert_eq!(stand.given(), given);
    }
}

#[tokio::test]
async fn a_lane_that_is_lost_or_full_is_passed_over() {
    for (each, taker) in
        [([Away, Open], 1), ([Open, Away], 0), ([Full, Open], 1), ([Open, Full], 0)]
    {
        let stand = Stand::of(each);
        let before = stand.given()[taker];
        for turn in 0..2 {
            hand_over(stand.lanes.place(turn));
            assert!(stand.lanes.submit_in_turn(turn, one()).await.is_ok());
        }
        assert_eq!(stand.given()[taker], before + 4);
    }
}

#[tokio::test]
async fn the_error_is_the_one_that_tells_most() {
    for (each, refusal, is_open) in [
        ([Away, Away], PublishError::Away, false),
        ([Full, Full], PublishError::Busy, true),
        ([Full, Away], PublishError::Busy, true),
        ([Blocked, Away], PublishError::Blocked, false),
        ([Blocked, Full], PublishError::Blocked, false),
        // It will be blocked as well, and only does not know it yet.
        ([Blocked, Open], PublishError::Blocked, false),
        ([Blocked, Blocked], PublishError::Blocked, false),
    ] {
        for each in [each, [each[1], each[0]]] {
            let stand = Stand::new(each, 4, Duration::from_millis(1));
            assert_eq!(stand.lanes.is_open(), is_open);
            assert_eq!(stand.lanes.submit(one()).err(), Some(refusal));
            // Whoever waits for a turn is not told busy.
            let in_turn =
                if refusal == PublishError::Busy { PublishError::TimedOut } else { refusal };
            assert_eq!(stand.lanes.submit_in_turn(0, one()).await.err(), Some(in_turn));
        }
    }
}

#[tokio::test]
async fn a_list_waits_for_whichever_lane_has_room_first() {
    for lane in 0..LANES {
        let mut stand = Stand::of([Full, Full]);
        let Stand { lanes, queues } = &mut stand;
        let waiting = lanes.submit_in_turn(0, one());
        let answered = async { queues[lane].recv().await.unwrap().waiting.answer(Ok(())) };
        assert!(tokio::join!(waiting, answered).0.is_ok());
        assert_eq!(stand.given(), [4, 4], "the other one hangs, and holds nobody up");
    }
}

#[tokio::test]
async fn who_waits_while_a_lane_is_lost_goes_on_waiting_for_the_other() {
    for (lost, left) in [(0, 1), (1, 0)] {
        let mut stand = Stand::of([Full, Full]);
        let Stand { lanes, queues } = &mut stand;
        let waiting = lanes.submit_in_turn(0, one());
        let trouble = async {
            lose(&lanes.outlets[lost], &mut queues[lost]);
            tokio::task::yield_now().await;
            queues[left].recv().await.unwrap().waiting.answer(Ok(()));
        };
        assert!(tokio::join!(biased; waiting, trouble).0.is_ok());
        assert_eq!(stand.given()[left], 4);
    }
}

#[test]
fn lanes_share_what_the_publisher_may_have_in_flight() {
    for (all, each) in [(512, [256, 256]), (5, [3, 2]), (1, [1, 1]), (0, [1, 1])] {
        assert_eq!([share(all, 0), share(all, 1)], each);
    }
}
