// Shows what the server says about each call, and makes the buttons jump.
for (const card of document.querySelectorAll("article")) {
	const output = card.querySelector("output");
	const player = card.querySelector("audio, video");
	describe(`/recordings/${card.dataset.call}`, player, output).catch((e) => { output.textContent = e.message; });
	for (const button of card.querySelectorAll("button")) {
		button.addEventListener("click", () => {
			player.currentTime = 60 * button.textContent;
			player.play();
		});
	}
}

async function describe(url, player, output) {
	if (!player) { // refused: ask for the recording itself
		const answer = await fetch(url);
		const problem = await answer.json();
		output.className = "problem";
		output.textContent = `${answer.status} ${problem.type.split(":").pop()}. ${problem.title} ${problem.detail ?? ""}`;
		return;
	}
	const info = await (await fetch(`${url}/info`)).json();
	const file = info.files[0];
	player.hidden = !info.playable && !info.fallback;
	const rate = file.sample_rate ? `${file.sample_rate / 1000} kHz` : "";
	const size = file.size < 1e6 ? `${Math.ceil(file.size / 1e3)} kB` : `${(file.size / 1e6).toFixed(1)} MB`;
	output.textContent = [file.type, file.codec, rate, size, file.reason, file.fallback && "played by the recorder"].filter(Boolean).join(", ");
}
