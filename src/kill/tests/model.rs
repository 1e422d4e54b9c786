//! The switch against a plain list of requests and a plain list of orders.
//!
//! In the list every order is an entry of its own, whatever it covers, and everything that ends one names it. So
//! whatever falls between the beginning and the end of a drill or of a restore is judged by who ordered it, not by
//! what it covers.

use proptest::prelude::*;

use super::super::restore::{PendingRestore, RestoreDecision};
use super::*;
use crate::model::{ClientId, Direction, UnixTime};
use crate::store::WriteBatch;

#[derive(Debug, Clone)]
enum Step {
    Enter {
        vendor: usize,
        direction: Direction,
        route: usize,
        client: usize,
    },
    Leave(usize),
    Kill(Option<usize>, KillSelector),
    /// A kill that was ordered earlier, for now.
    Due(Option<usize>, KillSelector),
    Trip(usize),
    Restore(Option<usize>, KillSelector),
    /// The same by two people, this one being one of them.
    Approve(Option<usize>, KillSelector, usize),
    BeginRestore(Option<usize>, KillSelector),
    EndRestore(usize),
    Drill(usize),
    EndDrill(usize),
    Restart,
}

const VENDORS: [&str; 3] = ["a", "b", "c"];
const ROUTES: [&str; 2] = ["GET /a", "POST /b"];
const CLIENTS: [&str; 2] = ["x", "y"];

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// One order against one vendor.
#[derive(Debug, Clone)]
struct Ordered {
    id: usize,
    of: usize,
    selector: KillSelector,
    /// Whether it came with an order for everything.
    everything: bool,
    /// Whether it is a drill's.
    drill: bool,
}

/// A yes of one person: to whom, to what, and the orders that stood then.
type Yes = (Option<usize>, KillSelector, usize, Vec<usize>);

/// What the switch must agree with.
#[derive(Default)]
struct Model {
    last: usize,
    orders: Vec<Ordered>,
    yes: Vec<Yes>,
    requests: Vec<(usize, KillSelector, bool, InFlight)>,
    /// Restores and drills that have begun, with the orders that they end.
    restores: Vec<(RestoreOrder, PendingRestore, Vec<usize>)>,
    drills: Vec<(usize, u64, usize)>,
}

impl Model {
    fn stands(&self, vendor: usize, traffic: &KillSelector) -> bool {
        self.orders.iter().any(|order| order.of == vendor && order.selector.contains(traffic))
    }

    fn kill(&mut self, vendor: Option<usize>, selector: &KillSelector) -> usize {
        self.last += 1;
        // An order for everything is also one for the vendors still to come, which the last place is for.
        for of in vendor.map_or(0..VENDORS.len() + 1, |of| of..of + 1) {
            let everything = vendor.is_none();
            self.orders.push(Ordered { id: self.last, of, selector: selector.clone(), everything, drill: false });
            let hit =
                |request: &&mut (usize, KillSelector, bool, InFlight)| request.0 == of && selector.contains(&request.1);
            self.requests.iter_mut().filter(hit).for_each(|request| request.2 = true);
        }
        self.last
    }

    /// The orders that a restore ends if it is decided now.
    fn named(&self, vendor: Option<usize>, selector: &KillSelector) -> Vec<usize> {
        let is_named = |order: &&Ordered| {
            let mine = vendor.map_or(order.everything, |vendor| vendor == order.of);
            mine && selector.contains(&order.selector)
        };
        let mut ids: Vec<_> = self.orders.iter().filter(is_named).map(|order| order.id).collect();
        ids.dedup();
        ids
    }

    fn lift(&mut self, vendor: Option<usize>, ids: &[usize]) {
        let lifted = |order: &Ordered| vendor.is_none_or(|of| of == order.of) && ids.contains(&order.id);
        self.orders.retain(|order| !lifted(order));
    }

    /// Adds a yes; whether two people have now agreed to end all that it names.
    fn approve(&mut self, vendor: Option<usize>, selector: &KillSelector, who: usize) -> bool {
        let named = self.named(vendor, selector);
        let covers = |yes: &&Yes| {
            yes.0 == vendor && yes.1 == *selector && yes.2 != who && named.iter().all(|id| yes.3.contains(id))
        };
        let agreed = !named.is_empty() && self.yes.iter().any(|yes| covers(&yes));
        self.yes.push((vendor, selector.clone(), who, named));
        agreed
    }
}

fn name(vendor: Option<usize>) -> &'static str {
    vendor.map_or("*", |vendor| VENDORS[vendor])
}

fn apply(bench: &mut Bench, model: &mut Model, step: Step) {
    match step {
        Step::Enter { vendor, direction, route, client } => {
            let client = ClientId::new(CLIENTS[client]);
            let gate = bench.gate(VENDORS[vendor]);
            let in_flight = gate.register(direction, RouteTag::of(ROUTES[route]), Some(&client));
            let traffic =
                KillSelector { direction: Some(direction), route: Some(ROUTES[route].into()), client: Some(client) };
            assert_eq!(in_flight.check().is_err(), model.stands(vendor, &traffic), "{traffic:?}");
            model.requests.push((vendor, traffic, false, in_flight));
        }
        Step::Leave(which) if !model.requests.is_empty() => {
            drop(model.requests.swap_remove(which % model.requests.len()));
        }
        Step::Leave(_) => {}
        Step::Kill(vendor, selector) => {
            let before = severed(model);
            let order = KillOrder { selector: selector.clone(), ..bench.order(name(vendor), "{}") };
            let severing = bench.switch.kill(order).unwrap();
            model.kill(vendor, &selector);
            assert_eq!(severing.severed() as usize, severed(model) - before);
        }
        Step::Restore(vendor, selector) => {
            let reach_json = serde_json::to_string(&selector).unwrap();
            let result = run(bench.restore(name(vendor), &reach_json, "bob", 1));
            assert!(matches!(result, Ok(_) | Err(KillError::NotKilled)), "{result:?}");
            let named = model.named(vendor, &selector);
            model.lift(vendor, &named);
        }
        Step::Due(vendor, selector) => {
            let now = bench.switch.clock.now();
            let order = KillOrder { selector: selector.clone(), ..bench.order(name(vendor), "{}") };
            // Its answer waits for what it severs, and here nothing leaves by itself.
            model.requests.retain(|request| vendor.is_some_and(|of| of != request.0) || !selector.contains(&request.1));
            run(bench.switch.schedule(&order, now.wall)).unwrap();
            assert_eq!(run(bench.switch.kill_due(now)).len(), 1);
            model.kill(vendor, &selector);
        }
        Step::Trip(of) => {
            let evidence = Evidence { at: UnixTime::default(), kind: "denial_burst".to_owned(), detail: String::new() };
            bench.switch.trip(&vendor(VENDORS[of]), evidence, None, bench.switch.clock.now());
            // What has been cut off already trips over its own end; that is no new order.
            let begun: Vec<_> = model.restores.iter().flat_map(|restore| &restore.2).copied().collect();
            let lasts = |order: &Ordered| {
                let ends = begun.contains(&order.id) || order.drill;
                order.of == of && order.selector.is_whole() && !order.everything && !ends
            };
            if !model.orders.iter().any(lasts) {
                model.kill(Some(of), &KillSelector::default());
            }
        }
        Step::BeginRestore(vendor, selector) => {
            let order = bench.restore_order(name(vendor), &serde_json::to_string(&selector).unwrap(), "bob", 1);
            let named = model.named(vendor, &selector);
            match bench.switch.decide(&order) {
                Ok(RestoreDecision::Lifting(lifting)) => model.restores.push((order, *lifting, named)),
                Ok(RestoreDecision::Waiting(..)) => panic!("one is enough"),
                Err(error) => assert!(matches!(error, KillError::NotKilled) && named.is_empty(), "{error} {named:?}"),
            }
        }
        Step::EndRestore(which) if !model.restores.is_empty() => {
            let (order, lifting, named) = model.restores.swap_remove(which % model.restores.len());
            let vendor = VENDORS.iter().position(|name| *name == order.target.as_str());
            run(bench.switch.finish_restore(&order, lifting, ApprovalProgress { given: 1, needed: 1 })).unwrap();
            model.lift(vendor, &named);
        }
        Step::EndRestore(_) => {}
        Step::Approve(vendor, selector, who) => {
            let reach_json = serde_json::to_string(&selector).unwrap();
            let named = model.named(vendor, &selector);
            let restored = run(bench.restore(name(vendor), &reach_json, PEOPLE[who], 2));
            let agreed = !named.is_empty() && model.approve(vendor, &selector, who);
            let lifted = restored.as_ref().map_or(0, |restored| restored.lifted);
            assert!(agreed || lifted == 0, "{named:?} ended, and only {} agreed to it", PEOPLE[who]);
            if lifted > 0 {
                model.lift(vendor, &named);
            }
        }
        Step::Drill(of) => {
            let severing = bench.switch.begin_drill(&vendor(VENDORS[of]), "bob", "exercise", bench.switch.clock.now());
            let is_free = model.orders.iter().all(|order| order.of != of);
            assert_eq!(severing.is_ok(), is_free);
            if let Ok(severing) = severing {
                let id = model.kill(Some(of), &KillSelector::default());
                model.orders.iter_mut().filter(|order| order.id == id).for_each(|order| order.drill = true);
                model.drills.push((of, severing.kill().generation, id));
            }
        }
        Step::EndDrill(which) if !model.drills.is_empty() => {
            let (of, generation, id) = model.drills.swap_remove(which % model.drills.len());
            let (order, lifting) = bench.switch.end_drill(&vendor(VENDORS[of]), "bob", generation);
            run(bench.switch.finish_restore(&order, lifting, ApprovalProgress { given: 1, needed: 1 })).unwrap();
            model.lift(Some(of), &[id]);
        }
        Step::EndDrill(_) => {}
        Step::Restart => {
            model.requests.clear();
            // Orders that were being lifted are written as lifted; a drill that was broken off stays.
            for (order, _, named) in std::mem::take(&mut model.restores) {
                model.lift(VENDORS.iter().position(|name| *name == order.target.as_str()), &named);
            }
            model.drills.clear();
            assert!(run(bench.switch.retry_unconfirmed()));
            // A write stands behind all that were queued before it.
            bench.switch.store.write_blocking(WriteBatch::new()).unwrap();
            *bench = Bench::on(bench.switch.store.clone());
            VENDORS.iter().for_each(|vendor| drop(bench.gate(vendor)));
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
        assert_eq!(bench.gate(name).in_flight().into_iter().sum::<usize>(), held);
    }
}

fn selectors() -> impl Strategy<Value = KillSelector> {
    let direction = prop::option::weighted(0.3, prop::sample::select(Direction::ALL.to_vec()));
    let route = prop::option::weighted(0.3, prop::sample::select(ROUTES.to_vec()));
    let client = prop::option::weighted(0.3, prop::sample::select(CLIENTS.to_vec()));
    (direction, route, client).prop_map(|(direction, route, client)| KillSelector {
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
        6 => (vendor.clone(), direction, 0..ROUTES.len(), 0..CLIENTS.len())
            .prop_map(|(vendor, direction, route, client)| Step::Enter { vendor, direction, route, client }),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => (anyone.clone(), selectors()).prop_map(|(vendor, selector)| Step::Kill(vendor, selector)),
        2 => (anyone.clone(), selectors()).prop_map(|(vendor, selector)| Step::Due(vendor, selector)),
        2 => vendor.clone().prop_map(Step::Trip),
        3 => (anyone.clone(), selectors()).prop_map(|(vendor, selector)| Step::Restore(vendor, selector)),
        4 => (anyone.clone(), selectors(), 0..PEOPLE.len()).prop_map(|(v, selector, who)| Step::Approve(v, selector, who)),
        2 => (anyone, selectors()).prop_map(|(vendor, selector)| Step::BeginRestore(vendor, selector)),
        2 => any::<usize>().prop_map(Step::EndRestore),
        3 => vendor.prop_map(Step::Drill),
        3 => any::<usize>().prop_map(Step::EndDrill),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_switch_agrees_with_a_list(steps in prop::collection::vec(steps(), 1..60)) {
        let mut bench = Bench::new();
        VENDORS.iter().for_each(|vendor| drop(bench.gate(vendor)));
        let mut model = Model::default();
        for step in steps {
            apply(&mut bench, &mut model, step);
            agree(&bench, &model);
        }
    }
}
