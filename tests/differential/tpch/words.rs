//! Words that the specification names.

pub(super) const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];

pub(super) const NATIONS: [(&str, usize); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];

pub(super) const COLORS: [&str; 24] = [
    "almond",
    "antique",
    "aquamarine",
    "azure",
    "beige",
    "black",
    "blue",
    "brown",
    "chocolate",
    "coral",
    "cream",
    "dark",
    "forest",
    "frosted",
    "green",
    "grey",
    "honeydew",
    "ivory",
    "lemon",
    "maroon",
    "navy",
    "olive",
    "salmon",
    "yellow",
];

pub(super) const NOUNS: [&str; 10] =
    ["foxes", "ideas", "theodolites", "instructions", "dependencies", "excuses", "platelets", "asymptotes", "deposits", "requests"];

pub(super) const VERBS: [&str; 8] = ["sleep", "wake", "are", "cajole", "haggle", "nag", "use", "boost"];

pub(super) const ADJECTIVES: [&str; 8] = ["furious", "sly", "careful", "special", "quick", "fluffy", "slow", "final"];

pub(super) const ADVERBS: [&str; 6] = ["sometimes", "always", "never", "furiously", "slyly", "carefully"];
