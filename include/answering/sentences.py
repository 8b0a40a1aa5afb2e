"""What an answer says in its own words, in the languages that it is written in; quotes stay in the catalogue's words.

The question's language decides. A language without sentences here gets English.
"""

SPOKEN = ("en", "pt")

SENTENCES: dict[str, dict[str, str]] = {
    "nothing": {
        "en": "Nothing in the catalogue answers this.",
        "pt": "Nada no catálogo responde a isto.",
    },
    "does_not_tell": {
        "en": "Found: “{title}”. Its text does not tell: {lacking}.",
        "pt": "Encontrado: “{title}”. O seu texto não diz: {lacking}.",
    },
    "no_product_with": {
        "en": "No product was found with: {lacking}.",
        "pt": "Não foi encontrado nenhum produto com: {lacking}.",
    },
    "nothing_left": {
        "en": "The filter leaves no product to answer from: {filter}",
        "pt": "O filtro não deixa nenhum produto para responder: {filter}",
    },
    "no_such_value": {
        "en": "No product has {value}.",
        "pt": "Nenhum produto tem {value}.",
    },
    "like_value": {
        "en": "No product has {value}; did you mean {near}?",
        "pt": "Nenhum produto tem {value}; você quis dizer {near}?",
    },
}


def say(name: str, language: str = "en", **parts: object) -> str:
    """The sentence of that name in a language, with its parts filled in.

    Args:
        name: Of SENTENCES.
        language: ISO 639-1, the question's; English where it is empty or has no sentences.
        parts: What the sentence names in braces.

    >>> say("no_such_value", "pt", value='brand = "Sony"')
    'Nenhum produto tem brand = "Sony".'
    """
    texts = SENTENCES[name]
    return texts.get(language, texts["en"]).format(**parts)
