// Every word that the pages say themselves, in the languages that they say it in: the browser's, or for a card its question's.
const number = (value) => Number(value).toLocaleString(LANGUAGE);

const WORDS = {
  en: {
    title: "Ask the catalogue",
    lead: "Answers quote the products they come from.",
    question: "Question; several, one a line",
    placeholder: "What would you like to know? (several questions: one a line)",
    filter: "Filter", mode: "Search", hybrid: "by meaning and words", dense: "by meaning", bm25: "by words",
    products: "Products", ask: "Ask", stop: "Stop waiting",
    keys: "Enter asks; Shift and Enter starts a new line.",
    typed: "Products for this so far",
    attributes: (list) => `Attributes: ${list}`,
    narrowedBy: "Narrowed by", remove: (what) => `Remove ${what}`,
    narrow: (name, value, count) => `Only ${name} ${value}: ${number(count)}`,
    examples: "Try one of these", history: "Your questions", more: "Show more", noHistory: "What you ask is kept here.",
    states: { queued: "waiting", running: "running", success: "", failed: "failed" },

    searching: (count, when) => `Searching ${number(count)} products, published ${when}`,
    version: "Version", model: "Model", publishedBy: "Published by", run: (id) => `run ${id}`,
    approved: (who) => `approved by ${who}`, rolledBack: "rolled back", report: "Its report",
    nothingLive: "Nothing is published yet, so there is nothing to search.",
    nothingLiveNext: "Trigger the DAG train_and_index; when its task publish has succeeded, ask here.",
    pipeline: "Open train_and_index",

    asking: "Asking…", queued: "Queued…", looking: "Looking…", searchingNow: "Searching…",
    stillQueued: "Still queued: is Airflow's scheduler running and not busy, and the DAG not paused?",
    tryFailed: (number, what) => `Try ${number} failed${what ? `: ${what}` : "."} It is tried again soon.`,
    stopped: "Stopped waiting; the run itself goes on.", again: "Wait for it again",
    answered: (count, seconds) => `${count === 1 ? "Answered" : `${count} questions answered`} in ${seconds.toFixed(1)} s`,
    unasked: (count) => `; ${count} could not be asked, see below`,

    line: (place, has, most) => `Line ${place} has ${number(has)} characters; a question has at most ${number(most)}.`,
    lines: (has, most) => `All lines have ${number(has)} characters; at most ${number(most)} can be asked at once.`,
    shorten: (count) => `Shorten ${count === 1 ? "it" : "them"}, then ask.`,

    noAnswer: "Airflow does not answer.", noAnswerNext: "Is its web server running, and the network up?",
    ended: "Your session has ended.", endedNext: "Reload the page and log in again.",
    forbidden: `You may not do this: your role lacks a permission on the DAG ${DAG}.`, forbiddenNext: "Ask an administrator for it.",
    unknownDag: `Airflow does not know the DAG ${DAG} (yet).`,
    unknownDagNext: "New DAG files take up to five minutes to appear; see DAGs, Import Errors.",
    refused: (detail) => `Airflow refused the question: ${detail}`,
    busy: (status, detail) => `Airflow answered with status ${status}, each time it was asked. ${detail}`,
    busyNext: "It may be busy: try again in a minute. If it stays so, the web server's log says why.",
    status: (status, detail) => `Airflow answered with status ${status}. ${detail}`,
    paused: `The DAG ${DAG} is paused, so nothing would answer.`,
    pausedNext: "Unpause it, here or in the list of DAGs, then ask again.", unpause: "Unpause it and ask",
    failed: "The run ended without an answer.", failedNext: "Its log says why.",
    noIndex: "There is no index to search yet.",
    noIndexNext: "Trigger the DAG train_and_index, and ask again when its task publish has succeeded.",
    unreadable: "The question was answered, but the answer cannot be read.",
    unreadableNext: `Either your role lacks "read" on XComs of the DAG ${DAG}, or the result has been cleared.`,
    noRun: (run) => `There is no run ${run} of ${DAG}, or you may not see it.`,
    unexpected: (what) => `Something unexpected happened in this page: ${what}`,
    log: (run) => `The log of run ${run}`,

    sources: "Sources", nearest: "The nearest products", others: "More products", untitled: "(no title)", note: "Note",
    mended: (searched) => `Showing results for: ${searched}`,
    translated: (searched, by) => `Machine translation (${by}). Searched for: ${searched}`,
    fit: (count) => `${number(count)} products fit: `,
    source: (place) => `Source ${place}`,
    similarity: "similarity",
    sure: ["Found for sure", "Probably found", "Not found"],
    match: ["close match", "related products", "nothing close"],
    figures: (answer, threshold, from, nearest) => `The answer's confidence is ${answer}; from ${threshold} on it is given (${from}). `
      + `The nearest product's similarity is ${nearest}.`,
    from: { "the form": "set in the form", calibration: "calibrated by questions", default: "the default" },
    foot: (seconds) => `Searched in ${Number(seconds).toFixed(2)} s`, filtered: (filter) => `filter ${filter}`,
    index: (version) => `index ${version}`, link: "Link to this answer", itsRun: "Its run in Airflow",

    helpful: "Was this right?", up: "Yes", down: "No", right: "The right product is (title or uid; optional)", send: "Send",
    thanks: "Thank you: the next report tells it.",
    unclear: "Kept, but no single product is meant for sure: give its uid, or more of its title.",
    unjudged: "It is not kept: the answer, or the index that gave it, is gone.",

    fileOf: (origin) => `The questions of ${origin}`,
    fileAsked: (asked, found) => `${number(asked)} questions were asked; ${number(found)} are answered.`,
    fileAt: (file) => `The answers are in ${file}`,
    figure: (name, value, count) => `${name}: ${value} of ${number(count)} questions`,
    setAside: (count, reasons) => `${number(count)} rows were set aside in rejected.jsonl beside it: ${reasons}`,
  },
  pt: {
    title: "Pergunte ao catálogo",
    lead: "As respostas citam os produtos de onde vêm.",
    question: "Pergunta; várias, uma por linha",
    placeholder: "O que você quer saber? (várias perguntas: uma por linha)",
    filter: "Filtro", mode: "Busca", hybrid: "por sentido e palavras", dense: "por sentido", bm25: "por palavras",
    products: "Produtos", ask: "Perguntar", stop: "Parar de esperar",
    keys: "Enter pergunta; Shift e Enter começa outra linha.",
    typed: "Produtos para isto até agora",
    attributes: (list) => `Atributos: ${list}`,
    narrowedBy: "Limitado a", remove: (what) => `Remover ${what}`,
    narrow: (name, value, count) => `Só ${name} ${value}: ${number(count)}`,
    examples: "Experimente uma destas", history: "As suas perguntas", more: "Mostrar mais", noHistory: "O que você perguntar fica aqui.",
    states: { queued: "na fila", running: "em curso", success: "", failed: "falhou" },

    searching: (count, when) => `Busca em ${number(count)} produtos, publicados ${when}`,
    version: "Versão", model: "Modelo", publishedBy: "Publicado por", run: (id) => `execução ${id}`,
    approved: (who) => `aprovado por ${who}`, rolledBack: "restaurado", report: "O relatório",
    nothingLive: "Nada foi publicado ainda, e não há onde buscar.",
    nothingLiveNext: "Dispare o DAG train_and_index; quando a tarefa publish terminar bem, pergunte aqui.",
    pipeline: "Abrir train_and_index",

    asking: "Perguntando…", queued: "Na fila…", looking: "Procurando…", searchingNow: "Buscando…",
    stillQueued: "Ainda na fila: o scheduler do Airflow está ativo e livre, e o DAG sem pausa?",
    tryFailed: (number, what) => `A tentativa ${number} falhou${what ? `: ${what}` : "."} Haverá outra em breve.`,
    stopped: "A espera parou; a execução continua.", again: "Esperar de novo",
    answered: (count, seconds) => `${count === 1 ? "Respondida" : `${count} perguntas respondidas`} em ${seconds.toFixed(1)} s`,
    unasked: (count) => `; ${count} não puderam ser feitas, veja abaixo`,

    line: (place, has, most) => `A linha ${place} tem ${number(has)} caracteres; uma pergunta tem no máximo ${number(most)}.`,
    lines: (has, most) => `As linhas somam ${number(has)} caracteres; no máximo ${number(most)} de uma vez.`,
    shorten: () => "Encurte, depois pergunte.",

    noAnswer: "O Airflow não responde.", noAnswerNext: "O servidor web está ativo, e a rede também?",
    ended: "A sua sessão terminou.", endedNext: "Recarregue a página e entre de novo.",
    forbidden: `Você não pode fazer isto: falta ao seu papel uma permissão no DAG ${DAG}.`, forbiddenNext: "Peça-a a quem administra.",
    unknownDag: `O Airflow não conhece o DAG ${DAG} (ainda).`,
    unknownDagNext: "Arquivos novos levam até cinco minutos para aparecer; veja DAGs, Import Errors.",
    refused: (detail) => `O Airflow recusou a pergunta: ${detail}`,
    busy: (status, detail) => `O Airflow respondeu com o status ${status}, todas as vezes. ${detail}`,
    busyNext: "Pode estar ocupado: tente de novo em um minuto. Se continuar, o log do servidor web diz por quê.",
    status: (status, detail) => `O Airflow respondeu com o status ${status}. ${detail}`,
    paused: `O DAG ${DAG} está em pausa, e nada responderia.`,
    pausedNext: "Tire-o da pausa, aqui ou na lista de DAGs, e pergunte de novo.", unpause: "Tirar da pausa e perguntar",
    failed: "A execução terminou sem resposta.", failedNext: "O log diz por quê.",
    noIndex: "Ainda não há índice onde buscar.",
    noIndexNext: "Dispare o DAG train_and_index, e pergunte de novo quando a tarefa publish terminar bem.",
    unreadable: "A pergunta foi respondida, mas a resposta não pode ser lida.",
    unreadableNext: `Falta ao seu papel "read" nos XComs do DAG ${DAG}, ou o resultado foi apagado.`,
    noRun: (run) => `Não há execução ${run} de ${DAG}, ou você não pode vê-la.`,
    unexpected: (what) => `Algo inesperado aconteceu nesta página: ${what}`,
    log: (run) => `O log da execução ${run}`,

    sources: "Fontes", nearest: "Os produtos mais próximos", others: "Mais produtos", untitled: "(sem título)", note: "Nota",
    mended: (searched) => `Mostrando resultados para: ${searched}`,
    translated: (searched, by) => `Tradução automática (${by}). Procurado: ${searched}`,
    fit: (count) => `${number(count)} produtos servem: `,
    source: (place) => `Fonte ${place}`,
    similarity: "semelhança",
    sure: ["Encontrado com certeza", "Provavelmente encontrado", "Não encontrado"],
    match: ["produto bem próximo", "produtos parecidos", "nada próximo"],
    figures: (answer, threshold, from, nearest) => `A confiança da resposta é ${answer}; a partir de ${threshold} ela é dada (${from}). `
      + `A semelhança do produto mais próximo é ${nearest}.`,
    from: { "the form": "do formulário", calibration: "calibrado por perguntas", default: "o padrão" },
    foot: (seconds) => `Busca em ${Number(seconds).toFixed(2)} s`, filtered: (filter) => `filtro ${filter}`,
    index: (version) => `índice ${version}`, link: "Endereço desta resposta", itsRun: "A execução no Airflow",

    helpful: "Isto está certo?", up: "Sim", down: "Não", right: "O produto certo é (título ou uid; opcional)", send: "Enviar",
    thanks: "Obrigado: o próximo relatório o diz.",
    unclear: "Guardado, mas não é certo que produto é: dê o uid, ou mais do título.",
    unjudged: "Não foi guardado: a resposta, ou o índice que a deu, já não existe.",

    fileOf: (origin) => `As perguntas de ${origin}`,
    fileAsked: (asked, found) => `${number(asked)} perguntas foram feitas; ${number(found)} têm resposta.`,
    fileAt: (file) => `As respostas estão em ${file}`,
    figure: (name, value, count) => `${name}: ${value} de ${number(count)} perguntas`,
    setAside: (count, reasons) => `${number(count)} linhas foram postas de lado em rejected.jsonl ao lado: ${reasons}`,
  },
};

const LANGUAGE = navigator.language.slice(0, 2) in WORDS ? navigator.language.slice(0, 2) : "en";
const OWN = WORDS[LANGUAGE];

/** The page's own words, where it says `data-say`: as text, or as the attribute of `data-say-in`. */
function translatePage() {
  document.documentElement.lang = LANGUAGE;
  for (const each of document.querySelectorAll("[data-say]")) {
    const word = OWN[each.dataset.say];
    if (each.dataset.sayIn) each.setAttribute(each.dataset.sayIn, word);
    else each.textContent = word;
  }
}
