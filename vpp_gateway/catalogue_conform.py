"""Texts of the conformance harness, English and Japanese."""

from __future__ import annotations

from typing import Final

CONFORM: Final[dict[str, tuple[str, str]]] = {
    "conform.title": ("Conformance report: {standard}", "適合テスト報告書：{standard}"),
    "conform.subject": (
        "Tested: {subject}. Start: {at} (UTC).",
        "テスト対象：{subject}。開始：{at}（UTC）。",
    ),
    "conform.procedures": ("Procedures", "テスト手順"),
    "conform.coverage": ("Coverage of the rules", "規則の網羅状況"),
    "conform.verdict.pass": ("pass", "合格"),
    "conform.verdict.fail": ("fail", "不合格"),
    "conform.verdict.not_applicable": ("not applicable", "対象外"),
    "conform.column.id": ("Procedure", "手順"),
    "conform.column.title": ("What it shows", "確認内容"),
    "conform.column.rules": ("Rules", "規則"),
    "conform.column.verdict": ("Verdict", "判定"),
    "conform.column.reason": ("Reason", "理由"),
    "conform.column.seconds": ("s", "秒"),
    "conform.column.rule": ("Rule", "規則"),
    "conform.column.text": ("In our words", "内容"),
    "conform.column.procedures": ("Procedures", "手順数"),
    "conform.column.mutants": ("Mutants", "欠陥例数"),
    "conform.sum": (
        "{passed} passed, {failed} failed, {skipped} not applicable, in {seconds} s",
        "合格 {passed}、不合格 {failed}、対象外 {skipped}、所要 {seconds} 秒",
    ),
    "conform.mutants": (
        "{caught} of {count} mutants caught",
        "欠陥例 {count} 件のうち {caught} 件を検出",
    ),
    "conform.missed": (
        "mutant not caught: {procedure}: {mutant}",
        "欠陥例を検出できません：{procedure}：{mutant}",
    ),
    "conform.uncovered": ("rules without a procedure: {rules}", "手順のない規則：{rules}"),
    "conform.unknown_case": (
        "no procedure '{found}'; near it: {near}; all: `vpp-gateway conform openadr2 --list`",
        "手順 '{found}' はありません。近い名前：{near}。一覧：`vpp-gateway conform openadr2 --list`",
    ),
    "conform.unknown_rules": (
        "rules that are not in the table: {rules}",
        "表にない規則：{rules}",
    ),
    "conform.no_procedures": (
        "no procedures in {folder}: expected files *.yaml",
        "{folder} に手順がありません。*.yaml ファイルが必要です",
    ),
    "conform.twice": ("procedures named twice: {ids}", "名前が重複する手順：{ids}"),
    "conform.listen": (
        "--listen: expected HOST:PORT with a port from 1 to 65535, found '{found}'",
        "--listen：HOST:PORT（ポートは 1〜65535）が必要ですが、'{found}' です",
    ),
    "conform.cannot_listen": (
        "cannot listen on {where}: {why}",
        "{where} で待ち受けできません：{why}",
    ),
    "conform.only_other": (
        "{options}: only with --against other",
        "{options}：--against other のときだけ使えます",
    ),
    "conform.papers": (
        "--cert, --key and --ca go together; missing: {missing}",
        "--cert、--key、--ca は一緒に指定します。不足：{missing}",
    ),
    "conform.signed_without": (
        "--signed needs the VTN's certificate; missing: {missing}",
        "--signed には VTN の証明書が必要です。不足：{missing}",
    ),
    "conform.fingerprint_without": (
        "--ven-fingerprint: only with --signed",
        "--ven-fingerprint：--signed のときだけ使えます",
    ),
    "conform.prompt_command": (
        "--prompt-command '{found}': cannot be run: {why}",
        "--prompt-command '{found}'：実行できません：{why}",
    ),
    "conform.prompt_without_verb": (
        "--prompt-command '{found}': expected {{verb}} in it",
        "--prompt-command '{found}'：{{verb}} が必要です",
    ),
    "conform.unwritable": (
        "{file}: cannot be written: {why}",
        "{file}：書き込めません：{why}",
    ),
    "conform.bad_procedure": ("procedure: {why}", "手順：{why}"),
}
"""Key -> (English, Japanese)."""
