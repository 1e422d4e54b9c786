//! The names, cities and streets of the people in the sample CRM.

/// The names, cities and streets of one country.
#[derive(Debug, Clone, Copy)]
pub(super) struct Country {
    pub(super) country: &'static str,
    pub(super) dial: u16,
    pub(super) family_first: bool,
    /// Given names, with their spelling in a mail address.
    pub(super) given: &'static [(&'static str, &'static str)],
    /// Family names, with their spelling in a mail address.
    pub(super) family: &'static [(&'static str, &'static str)],
    /// Cities, with the first digits of their postal codes.
    pub(super) cities: &'static [(&'static str, &'static str)],
    pub(super) streets: &'static [&'static str],
}

/// Every country.
pub(super) const COUNTRIES: &[Country] = &[
    Country {
        country: "US",
        dial: 1,
        family_first: false,
        given: &[("Grace", "grace"), ("Malik", "malik"), ("Ruth", "ruth"), ("Dwayne", "dwayne"), ("José", "jose")],
        family: &[("Okafor", "okafor"), ("Whitman", "whitman"), ("Nuñez", "nunez"), ("Sullivan", "sullivan")],
        cities: &[("Portland", "97"), ("Austin", "78"), ("Detroit", "48")],
        streets: &["Alder Street", "Lakeview Avenue", "Old Mill Road"],
    },
    Country {
        country: "DE",
        dial: 49,
        family_first: false,
        given: &[("Zoë", "zoe"), ("Jürgen", "juergen"), ("Anneliese", "anneliese"), ("Björn", "bjoern")],
        family: &[("Müller", "mueller"), ("Groß", "gross"), ("Schönfeld", "schoenfeld"), ("Yıldız", "yildiz")],
        cities: &[("Köln", "50"), ("Leipzig", "04"), ("München", "80")],
        streets: &["Lindenstraße", "Am Mühlbach", "Goethestraße"],
    },
    Country {
        country: "PL",
        dial: 48,
        family_first: false,
        given: &[("Łukasz", "lukasz"), ("Małgorzata", "malgorzata"), ("Żaneta", "zaneta"), ("Paweł", "pawel")],
        family: &[("Wójcik", "wojcik"), ("Dąbrowska", "dabrowska"), ("Święcicki", "swiecicki")],
        cities: &[("Gdańsk", "80"), ("Kraków", "31"), ("Łódź", "90")],
        streets: &["ulica Długa", "aleja Róż", "ulica Źródlana"],
    },
    Country {
        country: "FR",
        dial: 33,
        family_first: false,
        given: &[("Hélène", "helene"), ("François", "francois"), ("Anaïs", "anais"), ("Loïc", "loic")],
        family: &[("Lefèvre", "lefevre"), ("Bérenger", "berenger"), ("d’Arcy", "darcy"), ("Noël", "noel")],
        cities: &[("Lyon", "69"), ("Nîmes", "30"), ("Besançon", "25")],
        streets: &["rue de l’Église", "quai des Célestins", "allée des Chênes"],
    },
    Country {
        country: "JP",
        dial: 81,
        family_first: true,
        given: &[("美咲", "misaki"), ("健太", "kenta"), ("さくら", "sakura"), ("大輔", "daisuke")],
        family: &[("中村", "nakamura"), ("小林", "kobayashi"), ("渡辺", "watanabe"), ("髙橋", "takahashi")],
        cities: &[("札幌市", "06"), ("京都市", "60"), ("横浜市", "22")],
        streets: &["中央区大通西", "下京区四条通", "西区みなとみらい"],
    },
    Country {
        country: "IN",
        dial: 91,
        family_first: false,
        given: &[("प्रिया", "priya"), ("अर्जुन", "arjun"), ("Lakshmi", "lakshmi"), ("Rohan", "rohan")],
        family: &[("शर्मा", "sharma"), ("पटेल", "patel"), ("Iyer", "iyer"), ("Banerjee", "banerjee")],
        cities: &[("Pune", "411"), ("Jaipur", "302"), ("Kochi", "682")],
        streets: &["Mahatma Gandhi Road", "Station Road", "Temple Street"],
    },
    Country {
        country: "BR",
        dial: 55,
        family_first: false,
        given: &[("João", "joao"), ("Conceição", "conceicao"), ("Thaís", "thais"), ("Vinícius", "vinicius")],
        family: &[("Gonçalves", "goncalves"), ("Araújo", "araujo"), ("da Conceição", "daconceicao")],
        cities: &[("São Paulo", "01"), ("Belém", "66"), ("Florianópolis", "88")],
        streets: &["Rua das Acácias", "Avenida São João", "Travessa do Porto"],
    },
    Country {
        country: "GR",
        dial: 30,
        family_first: false,
        given: &[("Ελένη", "eleni"), ("Γιώργος", "giorgos"), ("Δήμητρα", "dimitra"), ("Νίκος", "nikos")],
        family: &[("Παπαδοπούλου", "papadopoulou"), ("Οικονόμου", "oikonomou"), ("Βασιλείου", "vasileiou")],
        cities: &[("Αθήνα", "10"), ("Θεσσαλονίκη", "54"), ("Πάτρα", "26")],
        streets: &["Οδός Ερμού", "Λεωφόρος Νίκης", "Οδός Αθηνάς"],
    },
];
