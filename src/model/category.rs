//! Categories of personal data: the keys of the fideslang taxonomy, and what leads to each by default.
//!
//! A key covers all keys below it, so `user.contact` stands for `user.contact.email` too. Keys of one's own begin with
//! `x.`. A category never changes a token: that is what the token class does.

use std::fmt;

use super::{FieldPath, PathStep};

/// One key of the taxonomy.
struct CategoryRow {
    key: &'static str,
    /// What it is called in a report.
    name: &'static str,
    /// The words of the detectors whose finds are of it.
    detectors: &'static [&'static str],
    /// Ends of field names that lead to it, in lower case with `_` between words; with `=` before it, only the whole
    /// name does.
    fields: &'static [&'static str],
}

const fn row(
    key: &'static str,
    name: &'static str,
    detectors: &'static [&'static str],
    fields: &'static [&'static str],
) -> CategoryRow {
    CategoryRow { key, name, detectors, fields }
}

/// The data categories of fideslang 3.1 (CC BY 4.0, IAB Tech Lab) that are about people.
#[rustfmt::skip]
const TABLE: [CategoryRow; 74] = [
    row("user", "personal data", &[], &[]),
    row("user.account", "account", &[], &[]),
    row("user.account.settings", "account settings", &[], &[]),
    row("user.account.username", "user name", &[], &["username", "user_name", "login", "nickname"]),
    row("user.authorization", "authorization", &[], &[]),
    row("user.authorization.biometric", "biometric proof", &[], &[]),
    row("user.authorization.credentials", "credentials", &["key", "jwt"], &["token", "secret", "api_key", "apikey", "credentials"]),
    row("user.authorization.password", "password", &[], &["password", "passwd", "passphrase"]),
    row("user.behavior", "behaviour", &[], &[]),
    row("user.behavior.browsing_history", "browsing history", &[], &["browsing_history"]),
    row("user.behavior.media_consumption", "media consumption", &[], &[]),
    row("user.behavior.purchase_history", "purchase history", &[], &["purchase_history", "order_history"]),
    row("user.behavior.search_history", "search history", &[], &["search_history"]),
    row("user.biometric", "biometric data", &[], &["biometric", "biometrics"]),
    row("user.biometric.fingerprint", "fingerprint", &[], &["=fingerprint"]),
    row("user.biometric.health", "biometric health data", &[], &[]),
    row("user.biometric.retinal", "retinal scan", &[], &[]),
    row("user.biometric.voice", "voice", &[], &[]),
    row("user.childrens", "children's data", &[], &["children"]),
    row("user.contact", "contact data", &[], &[]),
    row("user.contact.address", "postal address", &[], &["address", "addr"]),
    row("user.contact.address.city", "city", &[], &["city", "town"]),
    row("user.contact.address.country", "country", &[], &[]),
    row("user.contact.address.postal_code", "postal code", &[], &["postal_code", "postcode", "zip", "zip_code", "zipcode"]),
    row("user.contact.address.state", "state of an address", &[], &[]),
    row("user.contact.address.street", "street", &[], &["street", "street_address", "address_line", "address_line_1", "address_line1", "address_line_2", "address_line2"]),
    row("user.contact.email", "e-mail address", &["email"], &["email", "mail", "e_mail", "emails", "email_address", "mail_address"]),
    row("user.contact.fax_number", "fax number", &[], &["fax", "fax_number"]),
    row("user.contact.organization", "organization", &[], &[]),
    row("user.contact.phone_number", "phone number", &["phone"], &["phone", "phones", "phone_number", "phonenumber", "telephone", "mobile", "msisdn", "mobile_number", "tel"]),
    row("user.contact.url", "web address", &[], &[]),
    row("user.content", "content", &[], &[]),
    row("user.content.private", "private content", &[], &[]),
    row("user.content.public", "public content", &[], &[]),
    row("user.content.self_image", "image of the person", &[], &["selfie", "avatar"]),
    row("user.criminal_history", "criminal history", &[], &["criminal_record", "criminal_history"]),
    row("user.demographic", "demographic data", &[], &[]),
    row("user.demographic.age_range", "age range", &[], &["=age", "age_range"]),
    row("user.demographic.date_of_birth", "date of birth", &[], &["birthday", "birthdate", "birth_date", "date_of_birth", "dob", "birth_year", "born"]),
    row("user.demographic.gender", "gender", &[], &["gender", "=sex"]),
    row("user.demographic.language", "language", &[], &[]),
    row("user.demographic.marital_status", "marital status", &[], &["marital_status"]),
    row("user.demographic.political_opinion", "political opinion", &[], &["political_opinion", "political_party"]),
    row("user.demographic.profile", "profile", &[], &[]),
    row("user.demographic.race_ethnicity", "ethnic origin", &[], &["race", "ethnicity", "ethnic_origin"]),
    row("user.demographic.religious_belief", "religious belief", &[], &["religion", "religious_belief", "confession"]),
    row("user.demographic.sexual_orientation", "sexual orientation", &[], &["sexual_orientation"]),
    row("user.device", "device", &[], &["user_agent"]),
    row("user.device.cookie", "cookie", &[], &[]),
    row("user.device.cookie_id", "cookie id", &[], &["cookie_id"]),
    row("user.device.device_id", "device id", &[], &["device_id", "advertising_id", "idfa", "gaid", "imei", "mac_address"]),
    row("user.device.ip_address", "IP address", &[], &["=ip", "ip_address", "ip_addr", "client_ip", "remote_ip", "ipv4", "ipv6"]),
    row("user.financial", "financial data", &[], &["salary", "income"]),
    row("user.financial.bank_account", "bank account", &["iban"], &["iban", "bank_account", "account_number", "bic", "sort_code"]),
    row("user.financial.credit_card", "payment card", &["card"], &["card", "card_number", "credit_card", "=pan", "cvv", "cvc"]),
    row("user.government_id", "government id", &[], &["government_id", "national_id", "tax_id"]),
    row("user.government_id.birth_certificate", "birth certificate", &[], &["birth_certificate"]),
    row("user.government_id.drivers_license_number", "driving licence", &[], &["drivers_license", "driver_license", "driving_licence", "license_number"]),
    row("user.government_id.immigration", "immigration number", &[], &["visa_number", "alien_number"]),
    row("user.government_id.national_identification_number", "national identification number", &["ssn"], &["ssn", "social_security_number", "national_identification_number", "nin", "pesel", "cpf"]),
    row("user.government_id.passport_number", "passport number", &[], &["passport", "passport_number"]),
    row("user.government_id.vehicle_registration", "vehicle registration", &[], &["vehicle_registration", "number_plate", "license_plate"]),
    row("user.health_and_medical", "health data", &[], &["=health", "diagnosis", "diagnoses", "medication", "allergies", "disability"]),
    row("user.health_and_medical.genetic", "genetic data", &[], &["genetic", "genome", "dna"]),
    row("user.health_and_medical.insurance_beneficiary_id", "health insurance id", &[], &["insurance_id", "beneficiary_id"]),
    row("user.health_and_medical.record_id", "medical record id", &[], &["medical_record", "medical_record_id", "patient_id"]),
    row("user.job_title", "job title", &[], &["job_title"]),
    row("user.location", "location", &[], &["location", "geolocation", "coordinates"]),
    row("user.location.imprecise", "imprecise location", &[], &[]),
    row("user.location.precise", "precise location", &[], &["latitude", "longitude", "=lat", "=lon", "=lng"]),
    row("user.name", "name", &[], &["=name", "full_name", "fullname", "customer_name", "display_name", "recipient_name", "contact_name", "person_name", "maiden_name"]),
    row("user.name.first", "first name", &[], &["first_name", "firstname", "given_name", "middle_name", "forename"]),
    row("user.name.last", "last name", &[], &["last_name", "lastname", "family_name", "surname"]),
    row("user.unique_id.pseudonymous", "pseudonym", &[], &["pseudonym"]),
];

/// Categories of fideslang that no default leads to.
const FURTHER: [&str; 11] = [
    "user.payment",
    "user.privacy_preferences",
    "user.sensor",
    "user.social",
    "user.telemetry",
    "user.unique_id",
    "user.user_sensor",
    "user.workplace",
    "system",
    "system.authentication",
    "system.operations",
];

/// A category of personal data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Category(Box<str>);

/// Why a text is not a category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a category of fideslang, or one of your own that begins with x.")]
pub struct CategoryError;

impl Category {
    /// Parses a key.
    ///
    /// # Errors
    /// [`CategoryError`] when the taxonomy has no such key; one of your own is `x.` and at most 60 of `a-z`, `0-9`, `_`
    /// and `.`.
    pub fn parse(text: &str) -> Result<Self, CategoryError> {
        let own = |rest: &str| {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            rest.len() <= 60 && rest.split('.').all(|word| !word.is_empty() && word.bytes().all(good))
        };
        let known = Self::keys().any(|key| key == text) || text.strip_prefix("x.").is_some_and(own);
        if known { Ok(Self(text.into())) } else { Err(CategoryError) }
    }

    /// Every key of the taxonomy.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.key).chain(FURTHER)
    }

    /// All personal data: what a value is of that a person marked as personal and that nothing else is known about.
    pub fn personal_data() -> Self {
        Self("user".into())
    }

    /// The category of what a detector finds, by the detector's word.
    pub fn of_detector(word: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.detectors.contains(&word)).map(|row| Self(row.key.into()))
    }

    /// The category that the name of a field leads to: that of the longest end of the name which the table lists.
    pub fn of_field(name: &str) -> Option<Self> {
        let name = words_of(name);
        let ends = TABLE.iter().flat_map(|row| row.fields.iter().map(move |end| (row, *end)));
        let found = ends.filter(|(_, end)| match end.strip_prefix('=') {
            Some(whole) => name == whole,
            None => name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('_')),
        });
        found.max_by_key(|(_, end)| end.trim_start_matches('=').len()).map(|(row, _)| Self(row.key.into()))
    }

    /// The category that the names of a field's path lead to: its own name, or that of its parent and its own together,
    /// as in `$.card.number`.
    pub fn of_path(path: &FieldPath) -> Option<Self> {
        let mut names = path.steps().iter().rev().filter_map(PathStep::name);
        let own = names.next()?;
        Self::of_field(own).or_else(|| Self::of_field(&format!("{}_{own}", names.next()?)))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is called in a report: the key itself where the table has no name for it.
    pub fn name_of(key: &str) -> &str {
        TABLE.iter().find(|row| row.key == key).map_or(key, |row| row.name)
    }

    /// Whether it is `other`, or stands for all of it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name in lower case with `_` between its words: `billingEmail`, `Billing-E-Mail` and `BILLING_EMAIL` alike.
fn words_of(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut before_is_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            if !words.ends_with('_') {
                words.push('_');
            }
        } else {
            if c.is_uppercase() && before_is_lower {
                words.push('_');
            }
            words.extend(c.to_lowercase());
        }
        before_is_lower = c.is_lowercase() || c.is_numeric();
    }
    words.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_lead_to_categories_and_others_do_not() {
        for (name, expected) in [
            ("email", "user.contact.email"),
            ("billingEmail", "user.contact.email"),
            ("X-Customer-E-Mail", "user.contact.email"),
            ("PHONE_NUMBER", "user.contact.phone_number"),
            ("ipAddress", "user.device.ip_address"),
            ("shippingAddress", "user.contact.address"),
            ("dateOfBirth", "user.demographic.date_of_birth"),
            ("name", "user.name"),
            ("firstName", "user.name.first"),
            ("cardNumber", "user.financial.credit_card"),
            ("ssn", "user.government_id.national_identification_number"),
        ] {
            assert_eq!(Category::of_field(name).as_ref().map(Category::as_str), Some(expected), "{name}");
        }
        for name in ["", "id", "event_name", "fileName", "emailVerified", "session", "ship", "_", "amount", "é"] {
            assert_eq!(Category::of_field(name), None, "{name}");
        }
    }

    #[test]
    fn a_key_covers_what_is_below_it_alone() {
        let of = |text: &str| Category::parse(text).unwrap();
        assert!(of("user.contact").covers(&of("user.contact.email")) && of("user").covers(&of("user")));
        assert!(!of("user.contact.email").covers(&of("user.contact")));
        assert!(!of("x.a").covers(&of("x.ab")));
        for bad in ["", "user.contact.mail", "x.", "x", "x.A", "x..a", "User", "user."] {
            assert_eq!(Category::parse(bad), Err(CategoryError), "{bad}");
        }
        assert!(Category::parse("x.loyalty.tier_2").is_ok());
    }

    #[test]
    fn the_table_names_each_key_and_each_default_once() {
        let mut keys: Vec<_> = Category::keys().collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
        let parent = |key: &&str| key.rsplit_once('.').is_none_or(|(parent, _)| keys.contains(&parent));
        assert!(keys.iter().all(parent));
        let mut ends: Vec<_> = TABLE.iter().flat_map(|row| row.fields).collect();
        ends.sort_unstable();
        assert!(ends.windows(2).all(|pair| pair[0] != pair[1]), "{ends:?}");
    }
}
