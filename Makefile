# What a person runs. `make` alone lists the targets; CI runs `make test`.
MODEL   ?= Datasets/models/qubic-tiny
BITS    ?= 8
GROUP   ?= 64
METHOD  ?= rtn
CALIBRATION ?=
OUTPUT  ?= models/$(notdir $(MODEL))-int$(BITS)
SMOLLM2 := models/SmolLM2-135M-Instruct
STAGES  ?= 3
RUN     ?= Reports/demo
BIN     := .build/release
# `make TRAITS=` builds without MPI; `make plain` proves that that works.
TRAITS  ?= --traits MPI

.DEFAULT_GOAL := help
.PHONY: help setup build plain model quantize infer bench demo test test-arm64 parity interop openai engine pipeline records peers quantization-report shape-model synthetic train train-env lint format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the Debian packages that build and tests need
	@scripts/setup.sh

build: $(if $(BUILT),,setup) ## Build the three tools (release)
	$(if $(BUILT),@true,swift build -c release $(TRAITS))

plain: ## Prove that the package builds without MPI: nothing of it is found, and --transport mpi is refused in words
	@scripts/plain-build.sh

model: build ## Fetch SmolLM2-135M-Instruct and import it
	@scripts/get-model.sh

# Fetched only where it is the model that is wanted.
FETCHED := $(if $(filter $(SMOLLM2),$(MODEL)),model)

quantize: build $(FETCHED) ## Quantize MODEL to BITS (8 or 4), GROUP columns a scale, by METHOD (rtn, mse; gptq, … with CALIBRATION=FILE)
	@[ -f $(OUTPUT)/config.json ] || \
		$(BIN)/qquant quantize $(MODEL) --output $(OUTPUT) --bits $(BITS) --group-size $(GROUP) \
			--method $(METHOD) $(addprefix --calibration ,$(CALIBRATION))

infer: quantize ## Answer the recorded snapshots and a sample of the synthetic set, in both languages, over STAGES stages
	$(BIN)/qinfer run $(OUTPUT) --snapshots Datasets/recorded/*.jsonl Datasets/synthetic-sample/requests.test.jsonl \
		--stages $(STAGES) --output $(RUN)/answers --force
	@python3 scripts/show-answers.py $(RUN)/answers/results.jsonl

bench: quantize ## Measure the quantized model against Datasets/kpi.yaml on the labelled requests of the test split, and report
	$(BIN)/qbench run $(OUTPUT) --reference $(MODEL) $(addprefix --also ,$(ALSO)) --dataset Datasets/labelled \
		--kpi Datasets/kpi.yaml --scenario multi-stream --streams 104 --stages $(STAGES) --output $(RUN) --force

demo: infer ## All of it: set up, build, quantize to int8 and int4, answer, measure, report
	@$(MAKE) --no-print-directory BUILT=yes quantize BITS=4
	@$(MAKE) --no-print-directory BUILT=yes bench ALSO=models/$(notdir $(MODEL))-int4
	@echo "demo: open $(RUN)/report.html"

test: setup ## Build and run all tests (release: the kernels need the optimiser)
	swift build -c release --build-tests $(TRAITS)
	swift test -c release --skip-build $(TRAITS)

PARITY_PYTHON := .cache/parity/bin/python
PARITY := $(PARITY_PYTHON) Tests/Parity
parity: model ## Prove SmolLM2's tokens, logits, traces and files against transformers, compressed-tensors and llama.cpp
	@scripts/python-env.sh .cache/parity torch==2.13.0 transformers==5.23.0 compressed-tensors==0.20.0 \
		tokenizers==0.23.3 gguf==0.19.0 safetensors accelerate h5py jinja2 numpy
	$(PARITY)/llamacpp_tokenizer.py $(BIN)/qinfer .cache/SmolLM2-135M-Instruct.Q4_1.gguf $(SMOLLM2)
	$(PARITY)/gguf_import.py $(BIN)/qquant .cache/SmolLM2-135M-Instruct.Q4_1.gguf
	$(PARITY)/trace_transformers.py $(BIN)/qinfer Tests/Fixtures/models/qwen2-tied $(SMOLLM2)
	$(PARITY)/smollm2_transformers.py $(BIN)/qinfer $(SMOLLM2)
	$(PARITY)/quantized_logits.py $(BIN)/qquant $(BIN)/qinfer $(SMOLLM2)

QUANTIZATION_PYTHON := .cache/quantization/bin/python
QUANTIZATION_PACKAGES := torch==2.13.0 transformers==5.23.0 compressed-tensors==0.20.0 tokenizers==0.23.3 \
	gguf==0.19.0 safetensors numpy h5py llama-cpp-python==0.3.36
interop: build $(FETCHED) ## Prove exported GGUF files by llama.cpp, llm-compressor's conventions, and mse beside its observer
	@scripts/python-env.sh .cache/quantization $(QUANTIZATION_PACKAGES)
	$(QUANTIZATION_PYTHON) Tests/Interop/gguf_export.py $(BIN)/qquant \
		$(addprefix Tests/Fixtures/models/,llama llama3-rope qwen2-tied) $(MODEL)
	$(QUANTIZATION_PYTHON) Tests/Interop/llm_compressor.py $(BIN)/qquant $(BIN)/qinfer
	$(QUANTIZATION_PYTHON) scripts/quantization/mse_observer.py $(BIN)/qquant $(sort $(MODEL) $(wildcard $(SMOLLM2)))

openai: quantize ## Check batch files by the types of the openai package
	@[ -x .cache/openai/bin/python ] || python3 -m venv .cache/openai
	.cache/openai/bin/pip install --quiet openai==3.57.0
	.cache/openai/bin/python Tests/Interop/openai_batch.py $(BIN)/qinfer $(OUTPUT)

synthetic: build ## Make the synthetic set (about 200 MB) into Datasets/synthetic
	$(BIN)/qinfer synthesize Datasets/recorded/epochs_104_231.jsonl --incidents Datasets/incidents.jsonl \
		--output Datasets/synthetic --force

TRAINING := .cache/training
TRAINING_PYTHON := .cache/train/bin/python
TINY := models/qubic-tiny
train-env: setup ## Make the Python environment of the training
	@scripts/python-env.sh --without-llama-cpp .cache/train torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 safetensors numpy

train: build train-env ## Train the small model of the network on the synthetic train split (STEPS=2850; goes on where it stopped)
	@[ -f $(TRAINING)/set/requests.train.jsonl ] || $(BIN)/qinfer synthesize Datasets/recorded/epochs_104_231.jsonl \
		--output $(TRAINING)/set --train-requests 30000 --force
	@mkdir -p $(TINY)/prompts && cp Datasets/training/prompts/*.prompt $(TINY)/prompts/
	$(BIN)/qinfer render --prompts $(TINY)/prompts --snapshots $(TRAINING)/set/requests.train.jsonl > $(TRAINING)/train.rendered.jsonl
	@[ -f $(TINY)/tokenizer.json ] || $(TRAINING_PYTHON) Datasets/training/train_tokenizer.py $(TINY) \
		$(TRAINING)/train.rendered.jsonl $(TRAINING)/set/requests.train.labels.jsonl
	$(TRAINING_PYTHON) Datasets/training/train.py $(TINY) $(TRAINING)/train.rendered.jsonl \
		$(TRAINING)/set/requests.train.labels.jsonl --work $(TRAINING)/run --steps $(or $(STEPS),2850)

engine: quantize ## Measure prefill and decode of the quantized model
	$(BIN)/qbench engine $(OUTPUT) --html Reports/engine.html

pipeline: quantize ## Measure stages, transports and equal shares of a CPU (needs root) over REQUESTS requests into Reports/pipeline.md
	python3 scripts/pipeline/figures.py $(BIN)/qinfer $(OUTPUT) Datasets/labelled/requests.test.jsonl.gz --requests $(or $(REQUESTS),600)

records: build ## Measure how fast recordings are read: a million polls, and a HAR of 500 MB
	python3 scripts/records/throughput.py --qinfer $(BIN)/qinfer

PEERS_PYTHON := .cache/peers/bin/python
peers: model ## Measure ours beside llama.cpp and OpenVINO, into Reports/peers.md (PEERS="MODEL…")
	@scripts/python-env.sh .cache/peers gguf==0.19.0 numpy openvino==2026.4.1 \
		openvino-genai==2026.4.1.0 openvino-tokenizers==2026.4.1.0
	$(PEERS_PYTHON) scripts/peers/peers.py $(or $(PEERS),$(SMOLLM2))

TEXTS := .cache/texts
ENGLISH := models/english-small
quantization-report: model ## Set ours beside llama.cpp's, into Reports/quantization.md (REPORT_MODELS="NAME=MODEL=TEXT=CALIBRATION…")
	@scripts/python-env.sh .cache/quantization $(QUANTIZATION_PACKAGES)
	@[ -f Datasets/synthetic/requests.test.jsonl ] || $(MAKE) --no-print-directory BUILT=yes synthetic
	@[ -f $(TEXTS)/english/train.txt ] || python3 scripts/quantization/texts.py english $(TEXTS)/english
	@[ -f $(ENGLISH)/config.json ] || \
		$(QUANTIZATION_PYTHON) scripts/quantization/train_english.py $(TEXTS)/english $(ENGLISH)
	@[ -f $(TEXTS)/network/held-out.txt ] || \
		python3 scripts/quantization/texts.py network $(BIN)/qinfer Datasets/synthetic $(TEXTS)/network
	$(QUANTIZATION_PYTHON) scripts/quantization/report.py $(BIN)/qquant Reports/quantization.md $(or $(TOKENS),8192) \
		"english-small=$(ENGLISH)=$(TEXTS)/english/held-out.txt=$(TEXTS)/english/calibration.txt" \
		"qubic-tiny=Datasets/models/qubic-tiny=$(TEXTS)/network/held-out.txt=$(TEXTS)/network/calibration.txt" \
		"SmolLM2-135M-Instruct=$(SMOLLM2)=$(TEXTS)/english/held-out.txt=$(TEXTS)/english/calibration.txt=2048" $(REPORT_MODELS)

shape-model: ## Random weights in the shape of DeepSeek-R1-Distill-Qwen-1.5B, for speed and memory
	@python3 scripts/peers/shape_model.py models/shape-1.5B

test-arm64: ## Hold the NEON kernels to the specification under qemu (gcc-aarch64-linux-gnu, qemu-user)
	@scripts/test-arm64.sh

clean: ## Remove build products and downloaded models
	rm -rf .build models Reports/demo

lint: ## Check the formatting
	swift format lint --strict --recursive Package.swift Sources Tests

format: ## Format the sources
	swift format --in-place --recursive Package.swift Sources Tests
