//! The switch against a plain list of requests and a plain list of kills.

use proptest::prelude::*;

use super::*;
use crate::model::{ClientId, Direction};

#[derive(Debug, Clone)]
enum Step {
    Enter { vendor: usize, direction: Direction, route: usize, client: usize },
    Leave(usize),
    Kill(Option<usize>, Reach),
    Restore(Option<usize>, Reach),
    Restart,
}

const VENDORS: [&str; 3] = ["a", "b", "c"];
const ROUTES: [&str; 2] = ["GET /a", "POST /b"];
const CLIENTS: [&str; 2] = ["x", "y"];

/// What the switch must agree with.
#[derive(Default)]
struct Model {
    /// Vendor, reach, and whether it came with a kill of everything.
    kills: Vec<(usize, Reach, bool)>,
    requests: Vec<(usize, Reach, bool, InFlight)>,
}

impl Model {
    fn stands(&self, vendor: usize, traffic: &Reach) -> bool {
        self.kills.iter().any(|(of, reach, _)| *of == vendor && reach.contains(traffic))
    }

    fn kill(&mut self, vendor: Option<usize>, reach: &Reach) {
        for of in vendor.map_or(0..VENDORS.len(), |of| of..of + 1) {
            self.kills.push((of, reach.clone(), vendor.is_none()));
            let hit = |request: &&mut (usize, Reach, bool, InFlight)| request.0 == of && reach.contains(&request.1);
            self.requests.iter_mut().filter(hit).for_each(|request| request.2 = true);
        }
    }

    fn restore(&mut self, vendor: Option<usize>, reach: &Reach) {
        self.kills.retain(|(of, killed, everything)| {
            let mine = vendor.map_or(*everything, |vendor| vendor == *of);
            !(mine && reach.contains(killed))
        });
    }
}

fn name(vendor: Option<usize>) -> &'static str {
    vendor.map_or("*", |vendor| VENDORS[vendor])
}

fn apply(bench: &mut Bench, model: &mut Model, step: Step) {
    match step {
        Step::Enter { vendor, direction, route, client } => {
            let client = ClientId::new(CLIENTS[client]);
            let line = bench.line(VENDORS[vendor]);
            let in_flight = line.register(direction, RouteTag::of(ROUTES[route]), Some(&client));
            let traffic = Reach { direction: Some(direction), route: Some(ROUTES[route].into()), client: Some(client) };
            assert_eq!(in_flight.check().is_err(), model.stands(vendor, &traffic), "{traffic:?}");
            model.requests.push((vendor, traffic, false, in_flight));
        }
        Step::Leave(which) if !model.requests.is_empty() => {
            drop(model.requests.swap_remove(which % model.requests.len()));
        }
        Step::Leave(_) => {}
        Step::Kill(vendor, reach) => {
            let before = severed(model);
            let order = Order { reach: reach.clone(), ..bench.order(name(vendor), "{}") };
            let severing = bench.switch.kill(order).unwrap();
            model.kill(vendor, &reach);
            assert_eq!(severing.severed() as usize, severed(model) - before);
        }
        Step::Restore(vendor, reach) => {
            let reach_json = serde_json::to_string(&reach).unwrap();
            let result = run(bench.restore(name(vendor), &reach_json, "bob", 1));
            assert!(matches!(result, Ok(_) | Err(KillError::NotKilled)), "{result:?}");
            model.restore(vendor, &reach);
        }
        Step::Restart => {
            model.requests.clear();
            assert!(run(bench.switch.keep_unwritten()));
            *bench = Bench::on(bench.switch.store.clone());
            VENDORS.iter().for_each(|vendor| drop(bench.line(vendor)));
        }
    }
}

fn severed(model: &Model) -> usize {
    model.requests.iter().filter(|request| request.2).count()
}

fn agree(bench: &Bench, model: &Model) {
    for (vendor, traffic, severed, in_flight) in &model.requests {
        assert_eq!(in_flight.is_severed(), *severed, "{traffic:?}");
        assert_eq!(in_flight.check().is_err(), *severed || model.stands(*vendor, traffic), "{traffic:?}");
    }
    for (index, name) in VENDORS.iter().enumerate() {
        let held = model.requests.iter().filter(|request| request.0 == index).count();
        assert_eq!(bench.line(name).in_flight().into_iter().sum::<usize>(), held);
    }
}

fn reaches() -> impl Strategy<Value = Reach> {
    let direction = prop::option::weighted(0.3, prop::sample::select(Direction::ALL.to_vec()));
    let route = prop::option::weighted(0.3, prop::sample::select(ROUTES.to_vec()));
    let client = prop::option::weighted(0.3, prop::sample::select(CLIENTS.to_vec()));
    (direction, route, client).prop_map(|(direction, route, client)| Reach {
        direction,
        route: route.map(Into::into),
        client: client.map(ClientId::new),
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let vendor = 0..VENDORS.len();
    let anyone = prop::option::weighted(0.8, vendor.clone());
    let direction = prop::sample::select(Direction::ALL.to_vec());
    prop_oneof![
        6 => (vendor, direction, 0..ROUTES.len(), 0..CLIENTS.len())
            .prop_map(|(vendor, direction, route, client)| Step::Enter { vendor, direction, route, client }),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => (anyone.clone(), reaches()).prop_map(|(vendor, reach)| Step::Kill(vendor, reach)),
        3 => (anyone, reaches()).prop_map(|(vendor, reach)| Step::Restore(vendor, reach)),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_switch_agrees_with_a_list(steps in prop::collection::vec(steps(), 1..60)) {
        let mut bench = Bench::new();
        VENDORS.iter().for_each(|vendor| drop(bench.line(vendor)));
        let mut model = Model::default();
        for step in steps {
            apply(&mut bench, &mut model, step);
            agree(&bench, &model);
        }
    }
}
