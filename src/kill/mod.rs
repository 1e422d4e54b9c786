//! The kill switch: refuses what is new, severs what is in flight.
